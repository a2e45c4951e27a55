// The commands that answer at once. They are bundled with main.ts into the one file that every start loads. So nothing
// that they import, even later, may depend on ES modules or on files outside the bundle. Their errors must be those
// that main knows.

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
