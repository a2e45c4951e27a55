// The commands that answer at once, for glusterd or for other programs. They are bundled with main.ts into the one
// file that every start loads, so nothing they import, even later, may be bound to ES modules or to this project's
// files outside: what they throw must be the errors that main knows.

import type { FastCommand } from './fast-command.js';

export type FastLoader = () => Promise<FastCommand>;

export const FAST_COMMANDS: ReadonlyMap<string, FastLoader> = new Map<string, FastLoader>([
  ['status', async () => (await import('./commands/status.js')).statusCommand],
  ['config-get', async () => (await import('./commands/config-get.js')).configGetCommand],
  ['config-set', async () => (await import('./commands/config-set.js')).configSetCommand],
  ['config-reset', async () => (await import('./commands/config-reset.js')).configResetCommand],
  ['config-check', async () => (await import('./commands/config-check.js')).configCheckCommand],
  ['monitor-status', async () => (await import('./commands/monitor-status.js')).monitorStatusCommand],
  ['delete', async () => (await import('./commands/delete.js')).deleteCommand],
]);
