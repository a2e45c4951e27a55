// `gsyncd-ts config-set`: writes one option into the session's gsyncd.conf, after checking it.

import { checkSetting } from '../../config/check-setting.js';
import { editSessionFile } from '../../config/edit.js';
import { GsyncdError } from '../../errors.js';
import { invalidValue, notConfigurable, optionName, unknownOption } from '../config-errors.js';
import { openSession } from '../open-session.js';
import { CONFIG_FILE, DEBUG, SESSION_POSITIONALS, type Flags, type FastCommand } from '../fast-command.js';

export const configSetCommand: FastCommand = {
  name: 'config-set',
  description: 'set an option of a session',
  positionals: SESSION_POSITIONALS,
  options: [
    { name: 'name', letter: 'n', value: 'option', help: 'the option' },
    { name: 'value', letter: 'v', value: 'value', help: 'its value' },
    CONFIG_FILE,
    DEBUG,
  ],
  example: 'gv0 backup.example::sv0 --name=sync-jobs --value=5',
  run: runConfigSet,
};

async function runConfigSet([primary = '', secondary = '']: readonly string[], flags: Flags): Promise<void> {
  const given = flags.value('name');
  const value = flags.value('value');
  const { settings } = await openSession({ command: 'config-set', primary, secondary, flags, oldForm: 'upgrade' });
  if (given === undefined || value === undefined) {
    throw new GsyncdError(`config-set: ${given === undefined ? '--name' : '--value'}: missing`, { code: 'fault' });
  }
  const name = optionName(given);
  const file = settings.sessionFile;
  const verdict = checkSetting(settings, name, undefined);
  if (file === undefined || verdict === 'unknown')
    throw settings.get(name) === undefined ? unknownOption(given) : notConfigurable(given);
  if (checkSetting(settings, name, value) === 'invalid') throw invalidValue(given, value);
  if (settings.get(name) === value) return;
  await editSessionFile(file, (ini) => ini.set('vars', name, value));
}
