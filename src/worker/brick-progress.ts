// Starts the progress counters of a worker, in a file beside the brick's status file.

import type { Session } from '../primary/deps.js';
import { ProgressRecorder, type ProgressRecorderOptions } from '../progress/recorder.js';
import { changelogDirOf } from './removed-brick.js';

export interface BrickProgressOptions extends Pick<ProgressRecorderOptions, 'jobs' | 'estimate'> {
  readonly session: Session;
  readonly statusFile: string;
  readonly workingDir: string;
}

export async function startRecorder({
  session,
  statusFile,
  workingDir,
  jobs,
  estimate,
}: BrickProgressOptions): Promise<ProgressRecorder> {
  const recorder = new ProgressRecorder({
    statusFile,
    identity: {
      primary: session.primary,
      secondary: `${session.secondaryHost}::${session.secondaryVolume}`,
      brick: session.localPath,
      workingDir,
      set: `${session.hotTier ? 'hot ' : ''}${session.subvolNum}`,
      changelogDir: changelogDirOf(session.localPath),
    },
    jobs,
    estimate,
  });
  await recorder.start();
  return recorder;
}
