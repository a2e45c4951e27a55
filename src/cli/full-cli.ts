// The parts of the program that take long to load: the forced command, the daemons, help and mistakes. main.ts is one
// bundled file and this is not, so only plain values cross the border. This file throws nothing that main would have
// to recognise.

import { loadFastCommand } from './commands.js';
import { exitCodeOf } from './failure.js';
import { runForcedCommand } from './forced/forced-exec.js';
import type { ForcedLine } from './forced/forced-command-line.js';
import { parseFastCommand } from './fast-command.js';

/** Becomes the program that an ssh client asked for.
 *  @returns the exit code when the request was refused */
export async function runForced(line: ForcedLine): Promise<number> {
  return exitCodeOf(async () => {
    await runForcedCommand(line);
    return 0;
  });
}

/** Runs `args`, whose command is `name`.
 *  @returns the exit code */
export async function runCommand(name: string, args: readonly string[]): Promise<number> {
  return exitCodeOf(async () => {
    const described = await loadFastCommand(name);
    const parsed = described && parseFastCommand(described, args);
    if (described === undefined || parsed === undefined) return (await import('./program.js')).runProgram(args);
    await described.run(parsed.positionals, parsed.flags);
    return 0;
  });
}
