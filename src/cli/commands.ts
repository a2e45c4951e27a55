// The table of commands: a new one is one line here and a file in commands/. Only the module of the command that
// runs is loaded, since glusterd waits for the short ones; the help of the whole program loads them all.

import type { Command } from 'commander';

/** Adds one command to the program. */
type AddCommand = (program: Command) => void;

const COMMANDS: ReadonlyMap<string, () => Promise<AddCommand>> = new Map<string, () => Promise<AddCommand>>([
  ['worker', async () => (await import('./commands/worker.js')).addWorkerCommand],
]);

/** Adds the command that `args` (without program names) asks for, or every one when that is none of the table. */
export async function addCommands(program: Command, args: readonly string[]): Promise<void> {
  const asked = args.find((arg) => !arg.startsWith('-')) ?? '';
  const chosen = COMMANDS.get(asked);
  const loaders = chosen === undefined ? [...COMMANDS.values()] : [chosen];
  for (const load of loaders) (await load())(program);
}
