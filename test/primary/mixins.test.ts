// One slot at a time, on a class that has nothing else.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { entryPath, ROOT_GFID, type Gfid } from '../../src/protocol/gfid.js';
import { MINUS_INFINITY, ZERO_XTIME } from '../../src/gluster/xtime.js';
import { PrimaryBase, type SystemVolinfo } from '../../src/primary/base.js';
import type { PrimaryDeps } from '../../src/primary/deps.js';
import { withRsyncEngine } from '../../src/primary/mixins/engine-rsync.js';
import { withTarsshEngine } from '../../src/primary/mixins/engine-tarssh.js';
import { withNormalMode, withPartialMode, withRecoverMode } from '../../src/primary/mixins/mode.js';
import { withPurgeNoop, withPurgeNormal } from '../../src/primary/mixins/purge.js';
import { withSendmarkNormal, withSendmarkRsync } from '../../src/primary/mixins/sendmark.js';
import { S_IFDIR, S_IFREG } from '../../src/protocol/view.js';
import { FailureList } from '../../src/status/failures.js';
import { ModelAgent } from './model/agent.js';
import { ModelTransfer } from './model/data.js';
import { modelDeps } from './model/deps.js';
import { ChangelogWriter } from './model/changelog.js';
import { ModelBrick, ModelMount, NATIVE_INFO, VOLUME_UUID } from './model/primary-side.js';
import { StockSecondary } from './model/stock-secondary.js';
import { ModelVolume } from './model/volume.js';

const directory = mkdtempSync(join(tmpdir(), 'gsyncd-mixins-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const VOLMARK = [100, 0] as const;
const FILE = '00000000-0000-4000-8000-00000000000f' as Gfid;
const DIR = '00000000-0000-4000-8000-00000000000d' as Gfid;
const turn = (): Promise<void> => Promise.resolve();

let primary: ModelVolume;
let secondary: ModelVolume;
let changelog: ChangelogWriter;
let mount: ModelMount;
let brick: ModelBrick;
let deps: PrimaryDeps;

beforeEach(async () => {
  primary = new ModelVolume(() => 1);
  secondary = new ModelVolume(() => 1);
  changelog = new ChangelogWriter(primary, () => [200, 5]);
  mount = new ModelMount(primary, changelog, turn);
  brick = new ModelBrick(primary, changelog, turn);
  primary.create(entryPath(ROOT_GFID, 'f'), { gfid: FILE, mode: S_IFREG }, 'CREATE');
  deps = modelDeps({
    volume: mount,
    brick,
    secondary: new StockSecondary(secondary, { distCount: 1, turn }),
    agent: new ModelAgent(changelog, { directory, nowS: () => 1, changelogsPerScan: 1 }),
    failures: await FailureList.load(directory),
    workingDir: directory,
    transfer: new ModelTransfer(primary, secondary, turn),
  });
});

/** The base with nothing mixed in, its volume info known. */
class Bare extends PrimaryBase {
  readonly isReadingChangelogs = false;

  override compareChangelogs(): Promise<void> {
    return Promise.reject(new Error('bare'));
  }

  override retryFailures(): Promise<void> {
    return Promise.reject(new Error('bare'));
  }

  constructor(given: PrimaryDeps) {
    super(given);
    this.shared.volinfo = { ...NATIVE_INFO, volumeMark: VOLMARK };
  }

  forgetVolinfo(): void {
    this.shared.volinfo = null;
  }

  systemVolinfo(_signal: AbortSignal): Promise<SystemVolinfo> {
    return Promise.reject(new Error('bare'));
  }

  secondaryXtime(_path: string): Promise<readonly [number, number] | null> {
    return Promise.reject(new Error('bare'));
  }

  async markSecondary(path: string, mark: readonly [number, number]): Promise<void> {
    await this.deps.brick.setStime(path, this.uuid, mark);
  }

  crawl(_signal: AbortSignal): Promise<void> {
    return Promise.reject(new Error('bare'));
  }

  nextCrawl(_signal: AbortSignal): Promise<void> {
    return Promise.reject(new Error('bare'));
  }
}

class Normal extends withNormalMode(Bare) {}
class Partial extends withPartialMode(Bare) {}
class Recover extends withRecoverMode(Bare) {}
const { signal } = new AbortController();

describe('mode normal', () => {
  test('primaryXtime() returns an xtime that is newer than the volume mark', async () => {
    expect(await new Normal(deps).primaryXtime('f')).toEqual([200, 5]);
  });

  test.each([
    ['missing', null],
    ['older than the volume mark', [99, 9] as const],
  ])('primaryXtime() sets the xtime when it is %s', async (_what, mark) => {
    if (mark === null) changelog.xtimes.delete(FILE);
    else changelog.xtimes.set(FILE, mark);
    const beforeS = Math.floor(Date.now() / 1000);
    const made = await new Normal(deps).primaryXtime('f');
    expect(made?.[0]).toBeGreaterThanOrEqual(beforeS);
    expect(changelog.xtimes.get(FILE)).toEqual(made);
  });

  test('primaryXtime() sets no xtime for a path that does not exist', async () => {
    expect(await new Normal(deps).primaryXtime('nope')).toBeNull();
    expect(changelog.xtimes.size).toBe(2);
  });

  test('secondaryXtime() ignores a stime older than the volume mark, but returns the zero of a reset', async () => {
    const mode = new Normal(deps);
    expect(await mode.secondaryXtime('f')).toEqual(MINUS_INFINITY);
    brick.stimes.set(FILE, [150, 0]);
    expect(await mode.secondaryXtime('f')).toEqual([150, 0]);
    brick.stimes.set(FILE, [99, 0]);
    expect(await mode.secondaryXtime('f')).toEqual(MINUS_INFINITY);
    brick.stimes.set(FILE, ZERO_XTIME);
    expect(await mode.secondaryXtime('f')).toEqual(ZERO_XTIME);
  });

  test('secondaryXtime() moves the stime of a very old version to its current xattr', async () => {
    brick.legacyStimes.set(FILE, [160, 0]);
    expect(await new Normal(deps).secondaryXtime('f')).toEqual([160, 0]);
    expect(brick.stimes.get(FILE)).toEqual([160, 0]);
  });

  test('needSync() is true for newer xtimes, and checkReversion() refuses a secondary that is ahead', () => {
    const mode = new Normal(deps);
    expect(
      [
        [2, 0],
        [1, 1],
        [1, 0],
      ].map(([s = 0, us = 0]) => mode.needSync([s, us], [1, 0])),
    ).toEqual([true, true, false]);
    expect(() => mode.checkReversion('f', [1, 0], [1, 0])).not.toThrow();
    expect(() => mode.checkReversion('f', [1, 0], [1, 1])).toThrow(/timestamp corruption/);
  });

  test('keepalivePayload() announces the volume mark with an expiry, and retries soon while there is none', () => {
    const mode = new Normal(deps);
    const { info, gapS } = mode.keepalivePayload(120, 60);
    expect(info).toMatchObject({ uuid: VOLUME_UUID, volumeMark: VOLMARK });
    expect(Math.abs((info?.timeout ?? 0) - Date.now() / 1000 - 120)).toBeLessThan(2);
    expect(gapS).toBe(60);
    mode.forgetVolinfo();
    expect(mode.keepalivePayload(120, 60)).toEqual({ info: null, gapS: 10 });
    expect(mode.keepalivePayload(120, 4)).toEqual({ info: null, gapS: 4 });
  });

  test('systemVolinfo() accepts one foreign primary, as in a cascade, and refuses two', async () => {
    const foreign = { ...NATIVE_INFO, uuid: 'foreign', timeout: 1 };
    mount.foreign = [foreign];
    expect(await new Normal(deps).systemVolinfo(signal)).toEqual({ native: NATIVE_INFO, foreign });
    mount.foreign = [foreign, foreign];
    await expect(new Normal(deps).systemVolinfo(signal)).rejects.toThrow(/multiple foreign primaries/);
  });
});

describe('mode partial', () => {
  test('accepts a reversion of marks, and works as mode normal otherwise', async () => {
    const mode = new Partial(deps);
    expect(() => mode.checkReversion('f', [1, 0], [1, 1])).not.toThrow();
    expect(mode.shouldCreateMarks()).toBe(true);
    expect(await mode.primaryXtime('f')).toEqual([200, 5]);
  });
});

describe('mode recover', () => {
  test('primaryXtime() sets no xtime on a file without one', async () => {
    const mode = new Recover(deps);
    changelog.xtimes.delete(FILE);
    expect(await mode.primaryXtime('f')).toEqual(MINUS_INFINITY);
    expect(changelog.xtimes.has(FILE)).toBe(false);
    changelog.xtimes.set(FILE, ZERO_XTIME);
    expect(await mode.primaryXtime('f')).toEqual(ZERO_XTIME);
    changelog.xtimes.set(FILE, [150, 0]);
    expect(await mode.primaryXtime('f')).toEqual([150, 0]);
  });

  test('keepalivePayload() announces nothing', () => {
    expect(new Recover(deps).keepalivePayload(120, 60)).toEqual({ info: null, gapS: 60 });
  });

  test('systemVolinfo() waits until the announcement of a foreign primary has expired', async () => {
    mount.foreign = [{ ...NATIVE_INFO, uuid: 'foreign', timeout: Math.floor(Date.now() / 1000) }];
    const startMs = performance.now();
    const reading = new Recover(deps).systemVolinfo(signal);
    mount.foreign = [];
    expect(await reading).toEqual({ native: NATIVE_INFO, foreign: null });
    expect(performance.now() - startMs).toBeGreaterThan(900);
  });

  test('systemVolinfo() ends that wait when it is aborted', async () => {
    mount.foreign = [{ ...NATIVE_INFO, uuid: 'foreign', timeout: Math.floor(Date.now() / 1000) + 3_600 }];
    await expect(new Recover(deps).systemVolinfo(AbortSignal.timeout(50))).rejects.toThrow();
  });
});

describe('sendmark', () => {
  test('normal sets the stime; rsync (use-rsync-xattrs) sets none', async () => {
    await new (class extends withSendmarkRsync(Bare) {})(deps).sendmarkRegular('f', [170, 0]);
    expect(brick.stimes.has(FILE)).toBe(false);
    await new (class extends withSendmarkNormal(Bare) {})(deps).sendmarkRegular('f', [170, 0]);
    expect(brick.stimes.get(FILE)).toEqual([170, 0]);
  });
});

describe('purge', () => {
  beforeEach(() => {
    secondary.create(entryPath(ROOT_GFID, 'd'), { gfid: DIR, mode: S_IFDIR }, 'MKDIR');
    secondary.create(entryPath(DIR, 'x'), { gfid: FILE, mode: S_IFREG }, 'MKNOD');
  });

  test('normal removes names recursively, ignores missing ones, and removes nothing for an empty list', async () => {
    const purge = new (class extends withPurgeNormal(Bare) {})(deps);
    expect(purge.deletes).toBe('apply');
    await purge.purgeMissing(ROOT_GFID, []);
    expect(secondary.inodes.size).toBe(3);
    await purge.purgeMissing(ROOT_GFID, ['d', 'gone']);
    await purge.purgeMissing(ROOT_GFID, ['d']);
    expect([...secondary.inodes.keys()]).toEqual([ROOT_GFID]);
  });

  test('noop removes nothing', async () => {
    const purge = new (class extends withPurgeNoop(Bare) {})(deps);
    expect(purge.deletes).toBe('ignore');
    await purge.purgeMissing(ROOT_GFID, ['d']);
    expect(secondary.inodes.size).toBe(3);
  });
});

describe('engine', () => {
  test.each([
    ['rsync', withRsyncEngine],
    ['tarssh', withTarsshEngine],
  ] as const)('%s sends with its own transfer', async (name, mixin) => {
    const engines = { rsync: vi.fn(), tarssh: vi.fn(), attributes: vi.fn() };
    const sync = vi.fn(() => Promise.resolve(new Map()));
    const engine = new (class extends mixin(Bare) {})({ ...deps, engines, queue: { sync } });
    engine.makeEngine();
    await engine.syncData([{ gfid: FILE }]);
    expect(sync).toHaveBeenCalledWith([{ gfid: FILE }]);
    expect(engines[name]).toHaveBeenCalledOnce();
    expect(engines[name === 'rsync' ? 'tarssh' : 'rsync']).not.toHaveBeenCalled();
  });
});
