// `gsyncd-ts config-check`: checks whether an option exists and would take a value. glusterd runs it before every node
// changes its session file.

import { checkSetting } from '../../config/check-setting.js';
import { invalidValue, notConfigurable, optionName, unknownOption } from '../config-errors.js';
import { openDefaults } from '../open-session.js';
import { DEBUG, type Flags, type FastCommand } from '../fast-command.js';

export const configCheckCommand: FastCommand = {
  name: 'config-check',
  description: 'tell by the exit code whether an option exists and takes a value',
  positionals: [['name', 'the option']],
  options: [{ name: 'value', value: 'value', help: 'the value' }, DEBUG],
  example: 'sync-jobs --value=5',
  run: runConfigCheck,
};

function runConfigCheck([given = '']: readonly string[], flags: Flags): void {
  const { settings } = openDefaults('config-check', flags);
  const name = optionName(given);
  const value = flags.value('value');
  const verdict = checkSetting(settings, name, value);
  if (verdict === 'unknown') throw settings.get(name) === undefined ? unknownOption(given) : notConfigurable(given);
  if (verdict === 'invalid') throw invalidValue(given, value ?? '');
}
