// `gsyncd-ts config-check`: whether an option exists and would take a value. glusterd asks before it lets every node
// change its own session file.

import type { Command } from 'commander';
import { checkSetting } from '../../config/check-setting.js';
import { invalidValue, notConfigurable, optionName, unknownOption } from '../config-words.js';
import { openDefaults, type CommonFlags } from '../open-session.js';

interface ConfigCheckFlags extends CommonFlags {
  readonly value?: string;
}

export function addConfigCheckCommand(program: Command): void {
  program
    .command('config-check')
    .description('tell by the exit code whether an option exists and takes a value')
    .argument('<name>', 'the option')
    .option('--value <value>', 'the value')
    .option('--debug', 'log to the terminal')
    .addHelpText('after', '\nExample:\n  gsyncd-ts config-check sync-jobs --value=5')
    .action(runConfigCheck);
}

function runConfigCheck(given: string, flags: ConfigCheckFlags): void {
  const { settings } = openDefaults('config-check', flags);
  const name = optionName(given);
  const verdict = checkSetting(settings, name, flags.value);
  if (verdict === 'unknown') throw settings.get(name) === undefined ? unknownOption(given) : notConfigurable(given);
  if (verdict === 'invalid') throw invalidValue(given, flags.value ?? '');
}
