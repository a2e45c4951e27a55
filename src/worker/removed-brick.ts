// A brick that has left the volume with unread changelogs. They are read to their end, including the open one. The worker
// looks up their entries through the volume's mount. Rebalance has moved the files to other bricks, whose changelogs have
// no record of that. On the removed brick, only this session's marks are written.

import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ChangelogAgent, type ChangelogAgentOptions } from '../changelog/agent.js';
import { OPEN_CHANGELOG } from '../changelog/changelog-files.js';
import type { ChangelogSource } from '../changelog/source.js';
import { Stage } from '../changelog/stage.js';
import { Timeline } from '../changelog/timeline.js';
import { errorLine, GsyncdError, isGsyncdError } from '../errors.js';
import { Brick } from '../gluster/brick.js';
import type { FileStat } from '../gluster/file-stat.js';
import type { Gfid } from '../protocol/gfid.js';
import type { Location } from '../protocol/view.js';
import type { AuxMount } from '../gluster/mount.js';
import { fsEncode } from '../names.js';
import type { PrimaryDeps } from '../primary/deps.js';
import { delayOrWake } from '../async/wait.js';
import type { Crawlers } from './catch-up.js';

const RETRY_MS = 5_000;

export function changelogDirOf(brickPath: string): string {
  return join(brickPath, '.glusterfs', 'changelogs');
}

/** Files that remain on the brick prove nothing. Only directories are still in their place. */
export class RemovedBrick extends Brick {
  override fileOf(): Promise<FileStat | null> {
    return Promise.resolve(null);
  }

  /** The volume's mount, set once it is mounted. */
  mount: Pick<AuxMount, 'pathsOf' | 'gfidOf'> | null = null;

  override async fileLocations(gfid: Gfid): Promise<Location[]> {
    const { mount } = this;
    const found: Location[] = [];
    for (const text of ((await mount?.pathsOf(gfid)) ?? '').split(/:(?=\/)/)) {
      // Text that is not part of the name begins with a colon. A name may also contain one.
      for (let path = text; path !== '' && mount !== null; path = path.slice(0, Math.max(0, path.lastIndexOf(':')))) {
        if ((await mount.gfidOf(path.slice(1))) !== gfid) continue;
        const parent = await mount.gfidOf(dirname(path).slice(1) || '.');
        if (parent !== null) found.push({ parent, name: basename(path) });
        break;
      }
    }
    return found;
  }

  override gfidHasXattrs(): Promise<boolean> {
    return Promise.resolve(true);
  }

  override hasPendingHeals(): Promise<boolean> {
    return Promise.resolve(false);
  }
}

/** The changelogs of a brick whose process has ended. The last one never closes and is read at the end of the history. */
export function createRemovedBrickAgent(options: ChangelogAgentOptions): ChangelogSource {
  const agent = new ChangelogAgent(options);
  const stage = new Stage(join(options.workingDir, '.history'));
  const open = join(options.changelogDir, OPEN_CHANGELOG);
  let isOpenRead = false;
  const readOpen = async (): Promise<number> => {
    if (isOpenRead) return 0;
    isOpenRead = true;
    const lastClosedTime = (await new Timeline(options.changelogDir).end())?.time ?? 0;
    const { mtimeMs } = await stat(fsEncode(open));
    return ((await stage.put(open, Math.max(lastClosedTime + 1, Math.floor(mtimeMs / 1000)))) ?? 0) > 0 ? 1 : 0;
  };
  return {
    register: () => agent.register(),
    scan: () => agent.scan(),
    reached: () => agent.reached(),
    getchanges: () => agent.getchanges(),
    done: (path) => agent.done(path),
    history: (startTime) => agent.history(startTime),
    passSetBack: (setBack) => agent.passSetBack(setBack),
    historyBegin: () => agent.historyBegin(),
    historyLosses: () => agent.historyLosses(),
    historyScan: async () => (await agent.historyScan()) || readOpen(),
    historyGetchanges: () => agent.historyGetchanges(),
    historyDone: (path) => agent.historyDone(path),
    news: () => agent.news(),
    close: () => agent.close(),
  };
}

/** Reads the changelogs of a removed brick, and retries failed entries until all are synced.
 *  @param registerTime when the agent was registered, seconds */
export async function syncRemovedBrick(
  deps: PrimaryDeps,
  { history }: Crawlers,
  registerTime: number,
  signal: AbortSignal,
): Promise<void> {
  try {
    await history.crawlwrap(signal, { oneshot: true, registerTime });
  } catch (error) {
    await history.pipeline.drain().catch(() => undefined);
    if (isGsyncdError(error, 'outdated-mount')) throw error;
    if (!isGsyncdError(error, 'partial-history'))
      throw new GsyncdError(`removed brick: ${errorLine(error)}`, { code: 'changelog', cause: error });
    deps.log.error('removed brick: gap in its changelogs: deletes and renames in it may be missing on the secondary', {
      brick: deps.session.localPath,
      error: errorLine(error),
    });
  }
  while (!signal.aborted && deps.failures.size > 0) {
    await delayOrWake(RETRY_MS, signal);
    await history.pipeline.retryDueFailures(signal);
    deps.outdatedMounts?.crawlDone(deps.failures.size > 0);
  }
}
