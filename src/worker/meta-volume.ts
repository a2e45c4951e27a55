// Election of a subvolume's active worker by a lock in the meta volume, which stock workers on other nodes
// respect (mgmt_lock of the reference). Once taken, the lock is held until the process ends.

import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/config.js';
import { GsyncdError } from '../errors.js';
import type { Log } from '../log.js';
import { tryLock, type HeldLock } from '../native/locks.js';
import type { Session } from '../primary/deps.js';

export function metaVolumeElection(
  config: Config,
  session: Session,
  log: Log,
): (volumeUuid: string) => Promise<boolean> {
  let held: HeldLock | null = null;
  return async (volumeUuid) => {
    const mountPoint = config.get('meta-volume-mnt');
    if (!(await isMountPoint(mountPoint))) {
      log.error('Meta-volume is not mounted. Worker Exiting...');
      throw new GsyncdError(`meta volume ${mountPoint}: not mounted`, { code: 'preflight' });
    }
    if (held !== null) return true;
    const dir = join(mountPoint, 'geo-rep');
    const path = join(dir, `${volumeUuid}_${session.secondaryId}_subvol_${session.subvolNum}.lock`);
    log.debug('lock file path', { path });
    if ((await mkdir(dir, { recursive: true })) !== undefined) log.info('Creating geo-rep directory in meta volume...');
    held = await tryLock(path);
    return held !== null;
  };
}

async function isMountPoint(path: string): Promise<boolean> {
  try {
    const [own, parent] = await Promise.all([stat(path), stat(join(path, '..'))]);
    return own.dev !== parent.dev;
  } catch {
    return false;
  }
}
