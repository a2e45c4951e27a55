// Maps argv to a subcommand and sets the exit code. A failure is one line on stderr. This file is bundled with the
// short commands (see package.json): glusterd starts several processes for each action of an admin, and loading
// modules one by one takes longer than their work. full-cli.ts loads everything else. The caller imports it, since the
// bundle cannot import modules.

import { exitCodeOf } from './failure.js';
import { DISPATCHED_ENV, forcedCommandLine } from './forced/forced-command-line.js';
import type * as fullCommands from './full-cli.js';
import { printLines } from './print.js';
import { runLegacy } from './legacy/run-legacy.js';
import { commandName, parseFastCommand } from './fast-command.js';
import { FAST_COMMANDS } from './fast-commands.js';

/** Answer of GlusterFS 10's gsyncd to --version. glusterd asks for it before each of its commands. */
const STOCK_VERSION = 'gsyncd.py 4.0.0';

type FullCli = () => Promise<typeof fullCommands>;

export async function main(argv: readonly string[], fullCli: FullCli): Promise<void> {
  process.exitCode = await exitCodeOf(() => run(argv.slice(2), fullCli));
  // The command has ended everything that had to be ended. Nothing else may keep the process alive.
  process.exit();
}

async function run(givenArgs: readonly string[], fullCli: FullCli): Promise<number> {
  const forced = forcedCommandLine(givenArgs, process.env);
  if (forced !== undefined) return (await fullCli()).runForced(forced);
  // A dispatched line comes from a peer and has one meaning. Only glusterd uses the old style.
  const args = process.env[DISPATCHED_ENV] === undefined ? await runLegacy(givenArgs) : givenArgs;
  if (args === undefined) return 0;
  if (args.includes('--version')) {
    printLines([STOCK_VERSION]);
    return 0;
  }
  const name = commandName(args);
  const fastCommand = await FAST_COMMANDS.get(name)?.();
  const parsed = fastCommand && parseFastCommand(fastCommand, args);
  if (fastCommand === undefined || parsed === undefined) return (await fullCli()).runCommand(name, args);
  await fastCommand.run(parsed.positionals, parsed.flags);
  return 0;
}
