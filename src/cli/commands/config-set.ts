// `gsyncd-ts config-set`: writes one option into the session's gsyncd.conf, after checking it.

import type { Command } from 'commander';
import { checkSetting } from '../../config/check-setting.js';
import { editSessionFile } from '../../config/edit.js';
import { GsyncdError } from '../../errors.js';
import { invalidValue, notConfigurable, optionName, unknownOption } from '../config-words.js';
import { openSession, type CommonFlags } from '../open-session.js';

interface ConfigSetFlags extends CommonFlags {
  readonly name?: string;
  readonly value?: string;
}

export function addConfigSetCommand(program: Command): void {
  program
    .command('config-set')
    .description('set an option of a session')
    .argument('<primary>', 'name of the primary volume')
    .argument('<secondary>', 'the secondary volume: [USER@]HOST::VOLUME')
    .option('-n, --name <option>', 'the option')
    .option('-v, --value <value>', 'its value')
    .option('-c, --config-file <path>', "the session's gsyncd.conf (default: glusterd's)")
    .option('--debug', 'log to the terminal')
    .addHelpText('after', '\nExample:\n  gsyncd-ts config-set gv0 backup.example::sv0 --name=sync-jobs --value=5')
    .action(runConfigSet);
}

async function runConfigSet(primary: string, secondary: string, flags: ConfigSetFlags): Promise<void> {
  const { name: given, value } = flags;
  const { settings } = await openSession({ command: 'config-set', primary, secondary, flags, oldForm: 'upgrade' });
  if (given === undefined || value === undefined) {
    throw new GsyncdError(`config-set: ${given === undefined ? '--name' : '--value'}: missing`, { code: 'fault', retryable: false });
  }
  const name = optionName(given);
  const file = settings.sessionFile;
  const verdict = checkSetting(settings, name, undefined);
  if (file === undefined || verdict === 'unknown') throw settings.get(name) === undefined ? unknownOption(given) : notConfigurable(given);
  if (checkSetting(settings, name, value) === 'invalid') throw invalidValue(given, value);
  if (settings.get(name) === value) return;
  await editSessionFile(file, (ini) => ini.set('vars', name, value));
}
