// `gsyncd-ts monitor-status`: writes the state of a session's monitor (Created, Started, Paused, Stopped) into the
// session's state file, which status and glusterd read.

import { dirname } from 'node:path';
import { existsSync } from 'node:fs';
import { GsyncdError } from '../../errors.js';
import { fsEncode } from '../../names.js';
import { setMonitorStatus } from '../../status/monitor-status.js';
import { openSession } from '../open-session.js';
import { CONFIG_FILE, DEBUG, SESSION_POSITIONALS, type Flags, type FastCommand } from '../fast-command.js';

export const monitorStatusCommand: FastCommand = {
  name: 'monitor-status',
  description: "set the state of a session's monitor",
  positionals: [...SESSION_POSITIONALS, ['status', 'Created, Started, Paused or Stopped']],
  options: [CONFIG_FILE, DEBUG],
  example: 'gv0 backup.example::sv0 Stopped',
  run: runMonitorStatus,
};

async function runMonitorStatus(
  [primary = '', secondary = '', status = '']: readonly string[],
  flags: Flags,
): Promise<void> {
  const { settings, log } = await openSession({ command: 'monitor-status', primary, secondary, flags });
  const file = settings.text('state-file');
  if (!existsSync(fsEncode(dirname(file)))) {
    throw new GsyncdError(`monitor-status: ${dirname(file)}: no such session`, { code: 'preflight' });
  }
  await setMonitorStatus(file, status);
  log.info('Monitor Status Change', { status });
}
