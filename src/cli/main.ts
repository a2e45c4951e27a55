// argv -> subcommand; the one owner of exit codes. A failure is one line on stderr. Bundled with the short commands
// into one file (see package.json), because glusterd starts several processes for each thing that an admin asks for,
// and loading modules one by one takes longer than what they do. Everything else is loaded by full-cli.ts, which the
// caller imports: a script from the code cache cannot.

import { exitCodeOf } from './failure.js';
import { DISPATCHED, forcedCommandLine } from './forced/forced-command-line.js';
import type * as fullCommands from './full-cli.js';
import { printLines } from './print.js';
import { runLegacy } from './legacy/run-legacy.js';
import { commandName, parseFast } from './fast-command.js';
import { FAST_COMMANDS } from './fast-commands.js';

/** Answer of GlusterFS 10's gsyncd to --version, which glusterd asks for before each of its commands. */
const STOCK_VERSION = 'gsyncd.py 4.0.0';

type FullCli = () => Promise<typeof fullCommands>;

/** Runs the command line and exits. */
export async function main(argv: readonly string[], fullCli: FullCli): Promise<void> {
  process.exitCode = await exitCodeOf(() => run(argv.slice(2), fullCli));
  // Nothing may keep a finished command alive: what had to be ended has been.
  process.exit();
}

async function run(given: readonly string[], fullCli: FullCli): Promise<number> {
  const forced = forcedCommandLine(given, process.env);
  if (forced !== undefined) return (await fullCli()).forcedCommand(forced);
  // A peer's words have one meaning: the old style is glusterd's alone.
  const args = process.env[DISPATCHED] === undefined ? await runLegacy(given) : given;
  if (args === undefined) return 0;
  if (args.includes('--version')) {
    printLines([STOCK_VERSION]);
    return 0;
  }
  const name = commandName(args);
  const short = await FAST_COMMANDS.get(name)?.();
  const parsed = short && parseFast(short, args);
  if (short === undefined || parsed === undefined) return (await fullCli()).anyCommand(name, args);
  await short.run(parsed.positionals, parsed.flags);
  return 0;
}
