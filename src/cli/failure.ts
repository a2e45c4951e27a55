// Turns a failure into one line on stderr and an exit code. An unexpected error also prints its stack.

import { errorLine, GsyncdError, isGsyncdError, type ErrorCode } from '../errors.js';
import { safeText } from '../log-format.js';
import { CommandExit } from './exit.js';

/** The stock monitor restarts a worker that exits with 0 or 1, and gives up on any other code. */
const EXIT_CODES: Readonly<Partial<Record<ErrorCode, number>>> = { usage: 2 };
const EXIT_FAILURE = 1;

/** Runs `work`.
 *  @returns its exit code, or that of its failure, which this function has reported */
export async function exitCodeOf(work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CommandExit) {
      if (error.line !== undefined) process.stderr.write(`${safeText(error.line)}\n`);
      return error.exitCode;
    }
    process.stderr.write(`gsyncd-ts: ${errorLine(error)}\n`);
    if (!(error instanceof GsyncdError) && error instanceof Error)
      process.stderr.write(`${(error.stack ?? '').split('\n').map(safeText).join('\n')}\n`);
    return isGsyncdError(error) ? (EXIT_CODES[error.code] ?? EXIT_FAILURE) : EXIT_FAILURE;
  }
}
