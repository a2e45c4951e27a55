// argv -> subcommand; the one owner of exit codes. A failure is one line on stderr.

import { errorLine, GsyncdError, isGsyncdError, type ErrorCode } from '../errors.js';
import { loadShortCommand } from './commands.js';
import { CommandExit } from './exit.js';
import { forcedCommandLine } from './forced-command-line.js';
import { printLines } from './print.js';
import { runLegacy } from './run-legacy.js';
import { commandName, parseShort } from './short-command.js';

/** The stock monitor starts a worker again that exits with 0 or 1, and gives up on any other. */
const EXIT_CODES: Readonly<Partial<Record<ErrorCode, number>>> = { usage: 2 };
const EXIT_FAILURE = 1;
/** What GlusterFS 10's gsyncd answers to --version: glusterd asks before each of its commands. */
const STOCK_VERSION = 'gsyncd.py 4.0.0';

/** Runs the command line and exits. */
export async function main(argv: readonly string[]): Promise<void> {
  process.exitCode = await run(argv.slice(2));
  // Nothing may keep a finished command alive: what had to be ended has been.
  process.exit();
}

async function run(given: readonly string[]): Promise<number> {
  try {
    const forced = forcedCommandLine(given, process.env);
    if (forced !== undefined) await (await import('./forced-exec.js')).runForcedCommand(forced);
    const args = await runLegacy(given);
    if (args === undefined) return 0;
    if (args.includes('--version')) {
      printLines([STOCK_VERSION]);
      return 0;
    }
    const short = await loadShortCommand(commandName(args));
    const parsed = short && parseShort(short, args);
    if (short === undefined || parsed === undefined) return await (await import('./program.js')).runProgram(args);
    await short.run(parsed.positionals, parsed.flags);
    return 0;
  } catch (error) {
    if (error instanceof CommandExit) {
      if (error.line !== undefined) process.stderr.write(`${error.line}\n`);
      return error.exitCode;
    }
    process.stderr.write(`gsyncd-ts: ${errorLine(error)}\n`);
    if (!(error instanceof GsyncdError) && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
    return isGsyncdError(error) ? (EXIT_CODES[error.code] ?? EXIT_FAILURE) : EXIT_FAILURE;
  }
}
