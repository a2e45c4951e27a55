// The state of a session, `monitor.status`: one word (Created, Started, Paused, Stopped) without a newline. glusterd
// and the status commands read it.

import { fsEncode } from '../names.js';
import { withFlock } from '../native/locks.js';
import { replaceFile } from '../native/durable-file.js';

/** @param stateFile config: state-file */
export async function setMonitorStatus(stateFile: string, status: string): Promise<void> {
  await withFlock(stateFile, () => replaceFile(stateFile, fsEncode(status)));
}
