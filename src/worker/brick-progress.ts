// Starts the count of what a worker does for its brick, beside the brick's status file.

import { join } from 'node:path';
import type { Session } from '../primary/deps.js';
import { Tally, type TallyOptions } from '../progress/recorder.js';

export interface BrickTallyOptions extends Pick<TallyOptions, 'jobs' | 'estimate'> {
  readonly session: Session;
  readonly statusFile: string;
  readonly workingDir: string;
}

export async function startTally({ session, statusFile, workingDir, jobs, estimate }: BrickTallyOptions): Promise<Tally> {
  const tally = new Tally({
    statusFile,
    identity: {
      primary: session.primary,
      secondary: `${session.secondaryHost}::${session.secondaryVolume}`,
      brick: session.localPath,
      workingDir,
      set: `${session.hotTier ? 'hot ' : ''}${session.subvolNum}`,
      changelogDir: join(session.localPath, '.glusterfs', 'changelogs'),
    },
    jobs,
    estimate,
  });
  await tally.start();
  return tally;
}
