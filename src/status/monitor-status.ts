// The session's own status, `monitor.status`: one word (Created, Started, Paused, Stopped) without a newline, which
// glusterd and the stock status command read. Written by the monitor; glusterd has most of the words written by a
// command of its own.

import { withFlock } from '../native/locks.js';
import { replaceFile } from '../native/durable-file.js';

/** @param stateFile config: state-file */
export async function setMonitorStatus(stateFile: string, status: string): Promise<void> {
  await withFlock(stateFile, () => replaceFile(stateFile, status));
}
