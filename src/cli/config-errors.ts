// Errors of the config commands for an option or a value. glusterd shows the sentences and distinguishes the cases by
// exit code, so both are GlusterFS's.

import { CommandExit } from './exit.js';

/** An option's name in the spelling of the files. */
export function optionName(given: string): string {
  return given.replaceAll('_', '-');
}

export function unknownOption(given: string): CommandExit {
  return new CommandExit(2, `Invalid config name "${given}"`);
}

export function invalidValue(given: string, value: string): CommandExit {
  return new CommandExit(3, `Invalid config value "${given}=${value}"`);
}

/** The option exists, but there is no session whose file could hold it. */
export function notConfigurable(given: string): CommandExit {
  return new CommandExit(4, `Not configurable "${given}"`);
}
