// Applies a batch's attribute changes. A file that vanished meanwhile is no failure; one that cannot be looked up is.

import { gfidPath, type Gfid } from '../../protocol/gfid.js';
import { mapBounded } from '../../async/map-bounded.js';
import type { MetaOp, OpStat } from '../../protocol/secondary.js';
import type { PrimaryDeps } from '../deps.js';
import { sendHalving } from '../reconcile/bisect.js';
import { LOOKUPS_AT_ONCE } from './lookups.js';
import { orTrouble, peerReason, Trouble } from '../inode-error.js';
import { toOpStat } from '../../protocol/view.js';

const META_OPS_PER_CALL = 1_000;

/**
 * @param metas attributes to set; null: as they are now
 * @throws GsyncdError 'peer'
 */
export async function applyMetas(deps: PrimaryDeps, metas: ReadonlyMap<Gfid, OpStat | null>): Promise<void> {
  if (metas.size === 0) return;
  const { volume, secondary, failures, log } = deps;
  const fail = (gfid: Gfid, reason: string): void => {
    log.error('META FAILED', { data: gfidPath(gfid), reason });
    failures.add({ kind: 'meta', gfid, reason });
  };
  const found = await mapBounded([...metas], LOOKUPS_AT_ONCE, async ([gfid, known]): Promise<MetaOp | null> => {
    const stat = known ?? (await orTrouble(volume.lstat(gfidPath(gfid))));
    if (stat instanceof Trouble) {
      fail(gfid, stat.reason);
      return null;
    }
    if (stat === null) {
      log.debug('file got purged in the interim', { file: gfidPath(gfid) });
      failures.resolveGone(gfid);
    }
    return stat === null ? null : { go: gfidPath(gfid), stat: toOpStat(stat) };
  });
  const ops = found.filter((op) => op !== null);
  const { results, culprits } = await sendHalving(ops, META_OPS_PER_CALL, (slice) => secondary.metaOps(slice));
  const bad = new Map<string, string>();
  for (const { op, errno, call } of results) bad.set(op.go, `${call}: ${peerReason(errno)}`);
  for (const { item, reason } of culprits) bad.set(item.go, reason);
  for (const { go } of ops) {
    const gfid = go.slice(go.lastIndexOf('/') + 1) as Gfid;
    const reason = bad.get(go);
    if (reason === undefined) failures.resolve('meta', gfid);
    else if ((await orTrouble(volume.lstat(go))) === null) failures.resolveGone(gfid);
    else fail(gfid, reason);
  }
}
