// Bricks of this node that the session knew and that have left the volume. Rebalance moves their files to other bricks
// without a record there. So only the removed brick's changelogs have the changes after its stime. glusterd leaves the
// status files of removed bricks, and the monitor finds the bricks by them. When nothing is left to do for a brick, its
// status file is removed.

import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OPEN_CHANGELOG } from '../changelog/changelog-files.js';
import { decodeChangelog } from '../changelog/decode.js';
import { Timeline } from '../changelog/timeline.js';
import type { Config } from '../config/config.js';
import { escapePath } from '../config/template.js';
import { errorLine } from '../errors.js';
import { Brick } from '../gluster/brick.js';
import { ROOT_GFID } from '../protocol/gfid.js';
import type { VolumeInfo } from '../gluster/volinfo.js';
import type { Log } from '../log.js';
import { fsDecode, fsEncode } from '../names.js';
import { replaceFile } from '../native/durable-file.js';
import { isThere } from '../native/if-there.js';
import { FailureList } from '../status/failures.js';
import { brickOfStatusFile, statusFileName } from '../status/file-name.js';
import type { WorkerStatus } from '../status/status-file.js';
import { loadPendingCrawl, savePendingCrawl } from '../worker/pending-crawl.js';
import { changelogDirOf } from '../worker/removed-brick.js';

/** Marker in a removed brick's working directory: the brick has left, and another of its set did not just replace it. */
const LEFT_MARKER = 'left-the-volume';

export interface RemovedBricksOptions {
  readonly config: Config;
  readonly log: Log;
  readonly localNodeId: string;
  readonly status: (brickPath: string) => WorkerStatus;
}

export class RemovedBricks {
  readonly #options: RemovedBricksOptions;
  /** Number of subvolumes at the session's last run. */
  readonly #subvolumesBefore: number;
  readonly #reported = new Set<string>();

  constructor(options: RemovedBricksOptions) {
    this.#options = options;
    this.#subvolumesBefore = options.config.get('primary-distribution-count');
  }

  /** @returns the bricks whose changelogs a worker has to read. Others are forgotten, or reported as lost; then this node's
   *  bricks are crawled. */
  async findUnread(primary: VolumeInfo, secondaryId: string): Promise<string[]> {
    const currentBricks = new Set(
      primary.bricks.filter(({ hostUuid }) => hostUuid === this.#options.localNodeId).map(({ path }) => path),
    );
    const unread: string[] = [];
    for (const brick of (await this.#knownBricks()).filter((path) => !currentBricks.has(path))) {
      try {
        if (!(await this.#hasUniqueChangelogs(brick, primary))) await this.forget(brick);
        else {
          const state = await readChangelogState(brick, primary.id, secondaryId);
          const hasFailures = (await FailureList.load(this.#workingDir(brick))).size > 0;
          if (state === 'unread' || (state === 'read' && hasFailures)) unread.push(brick);
          else if (state === 'read') await this.forget(brick);
          else await this.#giveUp(brick, state.lost, [...currentBricks]);
        }
      } catch (error) {
        this.#reportOnce(brick, errorLine(error));
      }
    }
    return unread;
  }

  /** Removes the brick's files in the session: nothing is left to do for it. */
  async forget(brick: string): Promise<void> {
    const file = join(this.#sessionDir, statusFileName(brick));
    for (const path of [file, file.replace(/\.status$/, '.progress'), join(this.#workingDir(brick), LEFT_MARKER)])
      await rm(fsEncode(path), { force: true });
  }

  get #sessionDir(): string {
    return dirname(this.#options.config.get('state-file'));
  }

  #workingDir(brick: string): string {
    return join(this.#options.config.get('working-dir'), escapePath(brick));
  }

  async #knownBricks(): Promise<string[]> {
    const names = await readdir(fsEncode(this.#sessionDir), { encoding: 'buffer' }).catch(() => []);
    return names.flatMap((name) => brickOfStatusFile(fsDecode(name)) ?? []);
  }

  /** @returns false when another brick has the same changelogs, as after replace-brick: no change is lost then */
  async #hasUniqueChangelogs(
    brick: string,
    { replicaCount, disperseCount, distributionCount }: VolumeInfo,
  ): Promise<boolean> {
    const marker = join(this.#workingDir(brick), LEFT_MARKER);
    if (await isThere(marker)) return true;
    const isReplicated = replicaCount > 1 || disperseCount > 1;
    if (isReplicated && distributionCount >= this.#subvolumesBefore) return false;
    await mkdir(fsEncode(this.#workingDir(brick)), { recursive: true });
    await replaceFile(marker, '');
    return true;
  }

  async #giveUp(brick: string, reason: string, currentBricks: readonly string[]): Promise<void> {
    this.#reportOnce(brick, reason);
    const failures = await FailureList.load(this.#workingDir(brick));
    if (failures.size > 0) return;
    const now = Math.floor(Date.now() / 1000);
    for (const path of currentBricks) {
      const dir = this.#workingDir(path);
      await mkdir(fsEncode(dir), { recursive: true });
      const pending = await loadPendingCrawl(dir);
      await savePendingCrawl(dir, { since: pending?.since ?? now, from: 0 });
    }
    failures.add({ kind: 'entry', gfid: ROOT_GFID, reason: `removed brick ${brick}: ${reason}` });
    await failures.persist();
    const status = this.#options.status(brick);
    await status.setFaulty();
    await status.setLastError(`removed brick: ${reason}`);
  }

  #reportOnce(brick: string, reason: string): void {
    if (this.#reported.has(brick)) return;
    this.#reported.add(brick);
    this.#options.log.error(
      "removed brick: its unsynced changelogs cannot be read: crawling this node's other bricks; deletes and renames may be missing on the secondary: compare the volumes, then remove the status file",
      {
        brick,
        reason,
        status_file: join(this.#sessionDir, statusFileName(brick)),
      },
    );
  }
}

type ChangelogState = 'read' | 'unread' | { readonly lost: string };

/** Whether a brick has changelogs after its stime. Reads only the index and the open changelog. */
async function readChangelogState(path: string, volumeId: string, secondaryUuid: string): Promise<ChangelogState> {
  const brick = new Brick({ path, secondaryUuid });
  if (!(await isThere(path))) return { lost: 'its directory is not there' };
  if ((await brick.volumeId()) !== volumeId) return { lost: 'its directory is no brick of this volume any more' };
  const stime = await brick.stime('.', volumeId);
  if (stime === null) return { lost: 'it was never synced' };
  const timeline = new Timeline(changelogDirOf(path));
  const end = await timeline.end().catch(() => null);
  if (end === null) return { lost: 'it has no index of changelogs' };
  // A commit sets stime to the second before the changelog's name.
  const range = await timeline.survey(stime[0] + 2, end);
  if (range === null) return { lost: `its changelogs do not reach back to ${stime[0]}` };
  const openChangelog = join(changelogDirOf(path), OPEN_CHANGELOG);
  const hasOpenRecords =
    (await isThere(openChangelog)) &&
    decodeChangelog(await readFile(fsEncode(openChangelog)), openChangelog).length > 0;
  return range.first !== null || hasOpenRecords ? 'unread' : 'read';
}
