// Sends a batch's data and retries by file, not by box. After max-rsync-retries the remaining files are in the failure list,
// before the batch is marked as synced.

import { constants } from 'node:os';
import { gfidPath, entryPath, type Gfid } from '../../protocol/gfid.js';
import { errorLine, GsyncdError } from '../../errors.js';
import { errnoNumber } from '../../native/libc.js';
import { mapBounded } from '../../async/map-bounded.js';
import type { DataItem } from '../../queue/engine.js';
import type { BoxResult } from '../../queue/syncer.js';
import type { PrimaryDeps } from '../deps.js';
import type { EntryPhase } from './entry-phase.js';
import { LOOKUPS_AT_ONCE } from './lookups.js';
import { applyMetaOps } from './meta-phase.js';
import type { DataCause, Plan } from './plan.js';
import { tryInode, InodeError } from '../inode-error.js';
import { NO_SUCH_DIRECTORY } from '../transfer/rsync-transfer.js';
import type { ViewStat } from '../../protocol/view.js';

const { errno } = constants;

/** Pause between tries, as in the reference, so that a temporary cause can pass. */
const RETRY_PAUSE_MS = 500;
const SET_ID_BITS = 0o6000;
/** Below this size of holes a separate transfer does not pay off. */
const MIN_HOLES_BYTES = 64 << 10;
/** Either the file or the mount is gone; the transfer finds out which. */
const GONE_ERRNOS: ReadonlySet<number> = new Set([
  errno.ENOENT,
  errno.ESTALE,
  errno.ELOOP,
  errno.ENOTCONN,
  errno.ECONNABORTED,
  errno.EINTR,
]);

export interface DataPhaseOptions {
  /** Base names of the changelogs, for the log. */
  readonly changelogNames: readonly string[];
  readonly send: (items: readonly DataItem[]) => Promise<BoxResult>;
  readonly entryPhase: EntryPhase;
  /** Receives directories and special files that were created together with a missing file: their xattrs must follow. */
  readonly xattrGfids: Set<Gfid>;
  /** Files whose content the secondary cannot have. */
  readonly newGfids: ReadonlySet<Gfid>;
  readonly signal: AbortSignal;
}

/**
 * @returns once every file has arrived, is gone, or is in the failure list
 * @throws GsyncdError 'peer' when no transfer works at all, 'stopped'
 */
export async function syncData(
  deps: PrimaryDeps,
  dataGfids: ReadonlyMap<Gfid, DataCause>,
  options: DataPhaseOptions,
): Promise<void> {
  const { config, failures, log } = deps;
  const maxAttempts = Math.max(1, config.get('max-rsync-retries'));
  let pending = new Map(dataGfids);
  await dropUnreadable(deps, pending, options);
  const metaAfterData = new Set<Gfid>();
  let reasons = new Map<Gfid, string>();
  let isAnySynced = false;
  let transferError: unknown;
  for (let attempt = 1; pending.size > 0; attempt++) {
    const items = await dataItems(deps, pending, metaAfterData, attempt === maxAttempts);
    if (items.length === 0) break;
    const results = await options.send(items);
    reasons = new Map();
    transferError = undefined;
    for (const [gfid, result] of results) {
      if (result.status === 'synced') {
        isAnySynced = true;
        pending.delete(gfid);
        failures.resolve('data', gfid);
      } else {
        reasons.set(gfid, result.reason);
        if (result.scope === 'transfer') transferError ??= result.error ?? result.reason;
      }
    }
    await dropUnlinked(deps, pending);
    if (pending.size === 0 || attempt >= maxAttempts) break;
    log.warn('incomplete sync, retrying changelogs', {
      files: options.changelogNames,
      files_left: pending.size,
      reason: reasons.values().next().value,
    });
    await pause(RETRY_PAUSE_MS, options.signal);
    if (attempt === 1) pending = await recreateMissing(deps, pending, options);
  }
  // A write or a change of owner clears the set-id bits when it reaches the secondary's brick. And rsync or tar of an
  // ordinary user does not set owners.
  await applyMetaOps(
    deps,
    new Map([...metaAfterData].filter((gfid) => !pending.has(gfid)).map((gfid) => [gfid, null])),
  );
  if (pending.size === 0) return;
  if (!isAnySynced && transferError !== undefined) {
    // No transfer works. Failures of single files would only hide that.
    const [reason = 'unknown'] = reasons.values();
    throw new GsyncdError(`sync data: ${reason}`, { code: 'peer', cause: transferError });
  }
  log.error('changelogs could not be processed completely - moving on...', {
    files: options.changelogNames,
    files_left: pending.size,
  });
  for (const gfid of pending.keys()) failures.add({ kind: 'data', gfid, reason: reasons.get(gfid) ?? 'unknown' });
}

/** The queue balances its jobs by size, and an engine chooses its method by it. A file that this brick does not hold is
 *  looked up on the volume; if it is gone, it is dropped. */
async function dataItems(
  deps: PrimaryDeps,
  pending: Map<Gfid, DataCause>,
  metaAfterData: Set<Gfid>,
  logErrors: boolean,
): Promise<DataItem[]> {
  const items: DataItem[] = [];
  const isRemoteRoot = /^(root@|[^@]*$)/.test(deps.session.resourceRemote);
  for (const { gfid, cause, file } of await lookUpFiles(deps, pending)) {
    if (file === null) {
      dropGone(deps, pending, gfid);
      continue;
    }
    const compare = cause === 'written' ? 'content' : 'times';
    if (file instanceof InodeError) {
      metaAfterData.add(gfid);
      items.push({ gfid, compare, logErrors });
      continue;
    }
    if (!isRemoteRoot || (file.mode & SET_ID_BITS) !== 0) metaAfterData.add(gfid);
    items.push({ gfid, compare, logErrors, sizeBytes: file.size, holes: holesOf(file, cause) });
  }
  return items;
}

interface FileLookup {
  readonly gfid: Gfid;
  readonly cause: DataCause;
  readonly file: Pick<ViewStat, 'mode' | 'size' | 'allocatedBytes'> | InodeError | null;
}

/** An arbiter's brick holds only names and attributes, so all its files are empty. Then the sizes are read from the volume. */
async function lookUpFiles(
  { brick, volume }: PrimaryDeps,
  pending: ReadonlyMap<Gfid, DataCause>,
): Promise<FileLookup[]> {
  const lookUpOnVolume = (gfid: Gfid): Promise<ViewStat | null> => volume.lstat(gfidPath(gfid));
  const lookUpAll = (lookUp: (gfid: Gfid) => Promise<Exclude<FileLookup['file'], InodeError>>): Promise<FileLookup[]> =>
    mapBounded([...pending], LOOKUPS_AT_ONCE, async ([gfid, cause]) => ({
      gfid,
      cause,
      file: await tryInode(lookUp(gfid)),
    }));
  const files = await lookUpAll(async (gfid) => (await brick.fileOf(gfid)) ?? lookUpOnVolume(gfid));
  const areAllEmpty = files.every(({ file }) => file === null || file instanceof InodeError || file.size === 0);
  return areAllEmpty ? lookUpAll(lookUpOnVolume) : files;
}

/** The secondary has most of a file that was written again, so rsync sends little of it. Then holes must be most of the file.
 *  A renamed or linked file is as a rule there completely. */
function holesOf(
  { size, allocatedBytes = size }: Pick<ViewStat, 'size' | 'allocatedBytes'>,
  cause: DataCause,
): DataItem['holes'] {
  if (size - allocatedBytes < MIN_HOLES_BYTES) return undefined;
  return cause === 'walked' || (cause === 'written' && allocatedBytes < size / 8) ? 'most' : 'some';
}

/**
 * rsync and tar send zeros for blocks that they cannot read, and the secondary's copy may be the only good one. So a file
 * that may replace content there is read first. If that fails, the file goes to the failure list, and its copy is not
 * touched.
 */
async function dropUnreadable(
  deps: PrimaryDeps,
  pending: Map<Gfid, DataCause>,
  { newGfids, signal }: DataPhaseOptions,
): Promise<void> {
  // rsync sends nothing of a file whose size and time are equal on both sides.
  const isOverwritingEqual = deps.config.get('sync-method') === 'tarssh';
  const replaced = [...pending].filter(
    ([gfid, cause]) => !newGfids.has(gfid) && (isOverwritingEqual || cause !== 'linked'),
  );
  await mapBounded(replaced, LOOKUPS_AT_ONCE, async ([gfid]) => {
    try {
      await deps.readToEnd(gfid, signal);
    } catch (error) {
      const number = errnoNumber(error);
      if (number === undefined || GONE_ERRNOS.has(number)) return;
      pending.delete(gfid);
      deps.log.error('cannot read file: its copy on the secondary stays as it is', { gfid, error: errorLine(error) });
      deps.failures.add({ kind: 'data', gfid, reason: errorLine(error) });
    }
  });
}

/**
 * Sends the xattrs and ACLs of a plan, after its data. Failures are in the failure list.
 * @throws GsyncdError 'stopped'
 */
export async function syncXattrs(
  deps: PrimaryDeps,
  { xattrGfids }: Pick<Plan, 'xattrGfids'>,
  entryPhase: EntryPhase,
  send: (gfids: readonly Gfid[]) => Promise<BoxResult>,
): Promise<void> {
  if (xattrGfids.size === 0) return;
  const { failures, log, outdatedMounts, volume } = deps;
  for (const [gfid, result] of await send([...xattrGfids])) {
    if (result.status === 'synced') failures.resolve('xattrs', gfid);
    else if ((await tryInode(volume.lstat(gfidPath(gfid)))) === null) failures.resolveGone(gfid);
    else {
      const isDenied = result.reason === NO_SUCH_DIRECTORY ? await entryPhase.isDenied(gfid) : null;
      if (isDenied === true) outdatedMounts?.noteDenial();
      // Otherwise it was renamed on the primary, as a rule, and a later changelog has that.
      if (isDenied !== false) log.warn('attributes not synced', { gfid, reason: result.reason });
      failures.add({ kind: 'xattrs', gfid, reason: result.reason });
    }
  }
}

/** Drops files that are gone from the primary. */
async function dropUnlinked(deps: PrimaryDeps, pending: Map<Gfid, DataCause>): Promise<void> {
  await mapBounded([...pending.keys()], LOOKUPS_AT_ONCE, async (gfid) => {
    if ((await tryInode(deps.volume.lstat(gfidPath(gfid)))) === null) dropGone(deps, pending, gfid);
  });
}

function dropGone({ failures }: PrimaryDeps, pending: Map<Gfid, DataCause>, gfid: Gfid): void {
  pending.delete(gfid);
  failures.resolveGone(gfid);
}

/** A file can be missing on the secondary. So this compares its names, which creates it. */
async function recreateMissing(
  deps: PrimaryDeps,
  pending: Map<Gfid, DataCause>,
  { entryPhase, xattrGfids }: DataPhaseOptions,
): Promise<Map<Gfid, DataCause>> {
  const names: string[] = [];
  for (const gfid of pending.keys()) {
    const locations = await tryInode(deps.brick.fileLocations(gfid));
    if (!(locations instanceof InodeError))
      for (const { parent, name } of locations) names.push(entryPath(parent, name));
  }
  const { dataGfids, metaGfids } = await entryPhase.retry(names);
  await applyMetaOps(deps, new Map([...metaGfids].map((gfid) => [gfid, null])));
  for (const gfid of metaGfids) xattrGfids.add(gfid);
  const all = new Map(pending);
  for (const gfid of dataGfids) if (!all.has(gfid)) all.set(gfid, 'linked');
  return all;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(new GsyncdError('sync data: stopped', { code: 'stopped' }));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
