// `gsyncd-ts monitor-status`: writes what a session's monitor is said to do (Created, Started, Paused, Stopped) into
// the session's state file, which status and glusterd read.

import { dirname } from 'node:path';
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { GsyncdError } from '../../errors.js';
import { fsEncode } from '../../names.js';
import { replaceFile } from '../../native/durable-file.js';
import { withFlock } from '../../native/locks.js';
import { openSession, type CommonFlags } from '../open-session.js';

export function addMonitorStatusCommand(program: Command): void {
  program
    .command('monitor-status')
    .description("set the state of a session's monitor")
    .argument('<primary>', 'name of the primary volume')
    .argument('<secondary>', 'the secondary volume: [USER@]HOST::VOLUME')
    .argument('<status>', 'Created, Started, Paused or Stopped')
    .option('-c, --config-file <path>', "the session's gsyncd.conf (default: glusterd's)")
    .option('--debug', 'log to the terminal')
    .addHelpText('after', '\nExample:\n  gsyncd-ts monitor-status gv0 backup.example::sv0 Stopped')
    .action(runMonitorStatus);
}

async function runMonitorStatus(primary: string, secondary: string, status: string, flags: CommonFlags): Promise<void> {
  const { settings, log } = await openSession({ command: 'monitor-status', primary, secondary, flags });
  const file = settings.text('state-file');
  if (!existsSync(fsEncode(dirname(file)))) {
    throw new GsyncdError(`monitor-status: ${dirname(file)}: no such session`, { code: 'preflight' });
  }
  await withFlock(file, () => replaceFile(file, fsEncode(status)));
  log.info('Monitor Status Change', { status });
}
