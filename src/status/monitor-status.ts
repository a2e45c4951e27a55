// The session's own status, `monitor.status`: one word (Created, Started, Paused, Stopped) without a newline, which
// glusterd and the status commands read. Written by the monitor and by the command that glusterd has for it.

import { fsEncode } from '../names.js';
import { withFlock } from '../native/locks.js';
import { replaceFile } from '../native/durable-file.js';

/** @param stateFile config: state-file */
export async function setMonitorStatus(stateFile: string, status: string): Promise<void> {
  await withFlock(stateFile, () => replaceFile(stateFile, fsEncode(status)));
}
