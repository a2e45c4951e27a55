// The table of commands: a new one is one line here and a file in commands/. Only the module of the command that
// runs is loaded, since glusterd waits for the short ones; the help of the whole program loads them all.

import type { Command } from 'commander';
import { addShortCommand, type ShortCommand } from './short-command.js';

/** Adds one command to the program. */
type AddCommand = (program: Command) => void;
type Loader = () => Promise<AddCommand | ShortCommand>;

const COMMANDS: ReadonlyMap<string, Loader> = new Map<string, Loader>([
  ['monitor', async () => (await import('./commands/monitor.js')).addMonitorCommand],
  ['worker', async () => (await import('./commands/worker.js')).addWorkerCommand],
  ['status', async () => (await import('./commands/status.js')).statusCommand],
  ['config-get', async () => (await import('./commands/config-get.js')).configGetCommand],
  ['config-set', async () => (await import('./commands/config-set.js')).configSetCommand],
  ['config-reset', async () => (await import('./commands/config-reset.js')).configResetCommand],
  ['config-check', async () => (await import('./commands/config-check.js')).configCheckCommand],
  ['monitor-status', async () => (await import('./commands/monitor-status.js')).monitorStatusCommand],
  ['voluuidget', async () => (await import('./commands/voluuidget.js')).voluuidgetCommand],
  ['delete', async () => (await import('./commands/delete.js')).deleteCommand],
]);

/** The command of that name, when it is one that is described; undefined for others and unknown ones. */
export async function loadShortCommand(name: string): Promise<ShortCommand | undefined> {
  const loaded = await COMMANDS.get(name)?.();
  return typeof loaded === 'object' ? loaded : undefined;
}

/** Adds the command that `args` (without program names) asks for, or every one when that is none of the table. */
export async function addCommands(program: Command, args: readonly string[]): Promise<void> {
  const asked = args.find((arg) => !arg.startsWith('-')) ?? '';
  const chosen = COMMANDS.get(asked);
  for (const load of chosen === undefined ? COMMANDS.values() : [chosen]) {
    const command = await load();
    if (typeof command === 'function') command(program);
    else addShortCommand(program, command);
  }
}
