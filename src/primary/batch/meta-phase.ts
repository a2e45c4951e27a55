// Applies a batch's attribute changes. A file that vanished meanwhile is not a failure; one that cannot be looked up is.

import { gfidPath, type Gfid } from '../../protocol/gfid.js';
import { mapBounded } from '../../async/map-bounded.js';
import type { MetaOp, OpStat } from '../../protocol/secondary.js';
import type { PrimaryDeps } from '../deps.js';
import { sendBisecting } from '../reconcile/bisect.js';
import { LOOKUPS_AT_ONCE } from './lookups.js';
import { tryInode, explainPeerErrno, InodeError } from '../inode-error.js';
import { toOpStat } from '../../protocol/view.js';

const META_OPS_PER_CALL = 1_000;

/**
 * @param metaGfids attributes to set; null: those that the primary has now
 * @throws GsyncdError 'peer'
 */
export async function applyMetaOps(deps: PrimaryDeps, metaGfids: ReadonlyMap<Gfid, OpStat | null>): Promise<void> {
  if (metaGfids.size === 0) return;
  const { volume, secondary, failures, log } = deps;
  const fail = (gfid: Gfid, reason: string): void => {
    log.error('META FAILED', { data: gfidPath(gfid), reason });
    failures.add({ kind: 'meta', gfid, reason });
  };
  const found = await mapBounded(
    [...metaGfids],
    LOOKUPS_AT_ONCE,
    async ([gfid, recordedStat]): Promise<MetaOp | null> => {
      const stat = recordedStat ?? (await tryInode(volume.lstat(gfidPath(gfid))));
      if (stat instanceof InodeError) {
        fail(gfid, stat.reason);
        return null;
      }
      if (stat === null) {
        log.debug('file got purged in the interim', { file: gfidPath(gfid) });
        failures.resolveGone(gfid);
      }
      return stat === null ? null : { go: gfidPath(gfid), stat: toOpStat(stat) };
    },
  );
  const ops = found.filter((op) => op !== null);
  const { results, failedItems } = await sendBisecting(ops, META_OPS_PER_CALL, (slice) => secondary.metaOps(slice));
  const failedReasons = new Map<string, string>();
  for (const { op, errno, call } of results) failedReasons.set(op.go, `${call}: ${explainPeerErrno(errno)}`);
  for (const { item, reason } of failedItems) failedReasons.set(item.go, reason);
  for (const { go } of ops) {
    const gfid = go.slice(go.lastIndexOf('/') + 1) as Gfid;
    const reason = failedReasons.get(go);
    if (reason === undefined) failures.resolve('meta', gfid);
    else if ((await tryInode(volume.lstat(go))) === null) failures.resolveGone(gfid);
    else fail(gfid, reason);
  }
}
