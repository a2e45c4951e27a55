// Commander's part of the program: help, mistakes, and the commands that are built with it.

import { Command, CommanderError } from 'commander';
import { errorLine } from '../errors.js';
import { addCommands } from './commands.js';
import { VERSION } from './version.js';

/** Runs `args`.
 *  @returns the exit code when commander ended the run, 0 when the command did
 *  @throws what the command throws */
export async function runProgram(args: readonly string[]): Promise<number> {
  try {
    const program = new Command('gsyncd-ts')
      .description(
        "GlusterFS geo-replication's gsyncd: replicates the bricks of a primary volume to a secondary volume",
      )
      .version(
        `gsyncd-ts ${VERSION}`,
        '-V',
        'print the version of this program; --version prints that of the gsyncd it stands for',
      )
      .option('--inet6', 'names of hosts mean IPv6 addresses')
      .exitOverride()
      .configureOutput({ outputError: () => undefined });
    await addCommands(program, args);
    await program.parseAsync([...args], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return commanderExit(error);
    throw error;
  }
}

/** Help and version are successes; anything else is an invalid command line. */
function commanderExit(error: CommanderError): number {
  if (error.exitCode === 0) return 0;
  if (error.code !== 'commander.help') process.stderr.write(`gsyncd-ts: ${errorLine(error).replace(/^error: /, '')}\n`);
  return 2;
}
