// The table of commands: a new one is one line here and a file in commands/. Only the module of the command that
// runs is loaded, since glusterd waits for the short ones; the help of the whole program loads them all.

import type { Command } from 'commander';
import { addShortCommand, type ShortCommand } from './short-command.js';

/** Adds one command to the program. */
type AddCommand = (program: Command) => void;
type Loader = () => Promise<AddCommand | ShortCommand>;

const secondary = async (): Promise<AddCommand> => (await import('./commands/secondary.js')).addSecondaryCommand;

const COMMANDS: ReadonlyMap<string, Loader> = new Map<string, Loader>([
  ['monitor', async () => (await import('./commands/monitor.js')).addMonitorCommand],
  ['worker', async () => (await import('./commands/worker.js')).addWorkerCommand],
  ['secondary', secondary],
  ['slave', secondary],
  ['demo', async () => (await import('./commands/demo.js')).addDemoCommand],
  ['status', async () => (await import('./commands/status.js')).statusCommand],
  ['config-get', async () => (await import('./commands/config-get.js')).configGetCommand],
  ['config-set', async () => (await import('./commands/config-set.js')).configSetCommand],
  ['config-reset', async () => (await import('./commands/config-reset.js')).configResetCommand],
  ['config-check', async () => (await import('./commands/config-check.js')).configCheckCommand],
  ['monitor-status', async () => (await import('./commands/monitor-status.js')).monitorStatusCommand],
  ['voluuidget', async () => (await import('./commands/voluuidget.js')).voluuidgetCommand],
  ['delete', async () => (await import('./commands/delete.js')).deleteCommand],
  ['install', async () => (await import('./commands/install.js')).addInstallCommand],
  ['completion', async () => (await import('./commands/completion.js')).addCompletionCommand],
  ['man', async () => (await import('./commands/man.js')).addManCommand],
  ['top', async () => (await import('./commands/top.js')).addTopCommand],
  ['metrics', async () => (await import('./commands/metrics.js')).addMetricsCommand],
]);

/** The command of that name, when it is one that is described; undefined for others and unknown ones. */
export async function loadShortCommand(name: string): Promise<ShortCommand | undefined> {
  const loaded = await COMMANDS.get(name)?.();
  return typeof loaded === 'object' ? loaded : undefined;
}

/** Commands that tell about all commands. */
const ABOUT_ALL = new Set(['completion', 'man']);

/** Adds the command that `args` (without program names) asks for, or every one when that is none of the table. */
export async function addCommands(program: Command, args: readonly string[]): Promise<void> {
  const asked = args.find((arg) => !arg.startsWith('-')) ?? '';
  const chosen = ABOUT_ALL.has(asked) ? undefined : COMMANDS.get(asked);
  for (const load of chosen === undefined ? new Set(COMMANDS.values()) : [chosen]) {
    const command = await load();
    if (typeof command === 'function') command(program);
    else addShortCommand(program, command);
  }
}
