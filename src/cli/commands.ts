// The table of commands. A new command is one line here (or in fast-commands.ts) and a file in commands/. Only the
// module of the command that runs is loaded; the help of the whole program loads them all.

import type { Command } from 'commander';
import { addFastCommand, type FastCommand } from './fast-command.js';
import { FAST_COMMANDS } from './fast-commands.js';

type AddCommand = (program: Command) => void;
type Loader = () => Promise<AddCommand | FastCommand>;

const loadSecondary = async (): Promise<AddCommand> => (await import('./commands/secondary.js')).addSecondaryCommand;

const COMMANDS: ReadonlyMap<string, Loader> = new Map<string, Loader>([
  ['monitor', async () => (await import('./commands/monitor.js')).addMonitorCommand],
  ['worker', async () => (await import('./commands/worker.js')).addWorkerCommand],
  ['secondary', loadSecondary],
  ['slave', loadSecondary],
  ['demo', async () => (await import('./commands/demo.js')).addDemoCommand],
  ...FAST_COMMANDS,
  ['voluuidget', async () => (await import('./commands/voluuidget.js')).voluuidgetCommand],
  ['install', async () => (await import('./commands/install.js')).addInstallCommand],
  ['completion', async () => (await import('./commands/completion.js')).addCompletionCommand],
  ['man', async () => (await import('./commands/man.js')).addManCommand],
  ['top', async () => (await import('./commands/top.js')).addTopCommand],
  ['metrics', async () => (await import('./commands/metrics.js')).addMetricsCommand],
]);

/** The command of that name, if it is described as data; undefined for other and for unknown commands. */
export async function loadFastCommand(name: string): Promise<FastCommand | undefined> {
  const loaded = await COMMANDS.get(name)?.();
  return typeof loaded === 'object' ? loaded : undefined;
}

/** Commands whose output covers all commands. */
const COMMANDS_ABOUT_ALL = new Set(['completion', 'man', 'install']);

/** Adds the command that `args` (without program names) select, or every command if the table does not have it. */
export async function addCommands(program: Command, args: readonly string[]): Promise<void> {
  const name = args.find((arg) => !arg.startsWith('-')) ?? '';
  const chosen = COMMANDS_ABOUT_ALL.has(name) ? undefined : COMMANDS.get(name);
  for (const load of chosen === undefined ? new Set(COMMANDS.values()) : [chosen]) {
    const command = await load();
    if (typeof command === 'function') command(program);
    else addFastCommand(program, command);
  }
}
