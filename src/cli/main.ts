// argv -> subcommand; the one owner of exit codes. A failure is one line on stderr.

import { Command, CommanderError } from 'commander';
import { errorLine, GsyncdError, isGsyncdError, type ErrorCode } from '../errors.js';
import { addCommands } from './commands.js';
import { CommandExit } from './exit.js';
import { VERSION } from './version.js';

/** The stock monitor starts a worker again that exits with 0 or 1, and gives up on any other. */
const EXIT_CODES: Readonly<Partial<Record<ErrorCode, number>>> = { usage: 2 };
const EXIT_FAILURE = 1;

/** Runs the command line and exits. */
export async function main(argv: readonly string[]): Promise<void> {
  process.exitCode = await run(argv);
  // Nothing may keep a finished command alive: what had to be ended has been.
  process.exit();
}

async function run(argv: readonly string[]): Promise<number> {
  try {
    const program = new Command('gsyncd-ts')
      .description("GlusterFS geo-replication's gsyncd: replicates the bricks of a primary volume to a secondary volume")
      .version(`gsyncd-ts ${VERSION}`)
      .exitOverride()
      .configureOutput({ outputError: () => undefined });
    await addCommands(program, argv.slice(2));
    await program.parseAsync(argv);
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return commanderExit(error);
    if (error instanceof CommandExit) {
      if (error.line !== undefined) process.stderr.write(`${error.line}\n`);
      return error.exitCode;
    }
    process.stderr.write(`gsyncd-ts: ${errorLine(error)}\n`);
    if (!(error instanceof GsyncdError) && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
    return isGsyncdError(error) ? (EXIT_CODES[error.code] ?? EXIT_FAILURE) : EXIT_FAILURE;
  }
}

/** Help and version are successes; anything else is a command line that cannot be understood. */
function commanderExit(error: CommanderError): number {
  if (error.exitCode === 0) return 0;
  if (error.code !== 'commander.help') process.stderr.write(`gsyncd-ts: ${errorLine(error).replace(/^error: /, '')}\n`);
  return 2;
}
