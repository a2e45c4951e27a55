// `gsyncd-ts config-reset`: takes one option of a session, or all, back to the default.

import type { Command } from 'commander';
import { checkSetting } from '../../config/check-setting.js';
import { editSessionFile } from '../../config/edit.js';
import { notConfigurable, optionName, unknownOption } from '../config-words.js';
import { openSession, type CommonFlags } from '../open-session.js';

const EVERY = 'all';

export function addConfigResetCommand(program: Command): void {
  program
    .command('config-reset')
    .description('take an option of a session back to its default')
    .argument('<primary>', 'name of the primary volume')
    .argument('<secondary>', 'the secondary volume: [USER@]HOST::VOLUME')
    .argument('<name>', `the option; ${EVERY} for every one`)
    .option('-c, --config-file <path>', "the session's gsyncd.conf (default: glusterd's)")
    .option('--debug', 'log to the terminal')
    .addHelpText('after', '\nExample:\n  gsyncd-ts config-reset gv0 backup.example::sv0 sync-jobs')
    .action(runConfigReset);
}

async function runConfigReset(primary: string, secondary: string, given: string, flags: CommonFlags): Promise<void> {
  const { settings } = await openSession({ command: 'config-reset', primary, secondary, flags, oldForm: 'upgrade' });
  const name = optionName(given);
  const file = settings.sessionFile;
  if (file === undefined || (name !== EVERY && checkSetting(settings, name, undefined) === 'unknown')) {
    throw settings.get(name) === undefined ? unknownOption(given) : notConfigurable(given);
  }
  await editSessionFile(file, (ini) => {
    const keys = name === EVERY ? ini.entries('vars').map(({ key }) => key) : [name];
    for (const key of keys) ini.remove('vars', key);
  });
}
