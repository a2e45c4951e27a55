// `gsyncd-ts config-reset`: resets one option of a session, or all, to the default.

import { checkSetting } from '../../config/check-setting.js';
import { editSessionFile } from '../../config/edit.js';
import { notConfigurable, optionName, unknownOption } from '../config-errors.js';
import { openSession } from '../open-session.js';
import { CONFIG_FILE, DEBUG, SESSION_POSITIONALS, type Flags, type FastCommand } from '../fast-command.js';

const ALL_OPTIONS = 'all';

export const configResetCommand: FastCommand = {
  name: 'config-reset',
  description: 'take an option of a session back to its default',
  positionals: [...SESSION_POSITIONALS, ['name', `the option; ${ALL_OPTIONS} for every one`]],
  options: [CONFIG_FILE, DEBUG],
  example: 'gv0 backup.example::sv0 sync-jobs',
  run: runConfigReset,
};

async function runConfigReset(
  [primary = '', secondary = '', given = '']: readonly string[],
  flags: Flags,
): Promise<void> {
  const { settings } = await openSession({ command: 'config-reset', primary, secondary, flags, oldForm: 'upgrade' });
  const name = optionName(given);
  const file = settings.sessionFile;
  if (file === undefined || (name !== ALL_OPTIONS && checkSetting(settings, name, undefined) === 'unknown')) {
    throw settings.get(name) === undefined ? unknownOption(given) : notConfigurable(given);
  }
  await editSessionFile(file, (ini) => {
    const keys = name === ALL_OPTIONS ? ini.entries('vars').map(({ key }) => key) : [name];
    for (const key of keys) ini.remove('vars', key);
  });
}
