// The walk of a brick: its records, when it may set the stimes of directories, and that it misses and confuses nothing while
// the tree changes.

import { describe, expect, test } from 'vitest';
import type { ChangeRecord } from '../../src/changelog/record.js';
import { entryPath, ROOT_GFID, type Gfid } from '../../src/protocol/gfid.js';
import { MINUS_INFINITY, type Xtime } from '../../src/gluster/xtime.js';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../src/protocol/view.js';
import { XsyncWalk, type WalkChunk } from '../../src/primary/mixins/xsync-walk.js';
import { changeArb, Changer } from './model/changes.js';
import { ChangelogWriter } from './model/changelog.js';
import { ModelBrick, VOLUME_UUID } from './model/primary-side.js';
import { ModelVolume } from './model/volume.js';
import { fc } from '../seeds.js';

const LOG = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const gfid = (n: number): Gfid => `0000000${n}-0000-4000-8000-00000000000${n}` as Gfid;

class Endpoints {
  readonly volume = new ModelVolume(() => 1);
  readonly changelog: ChangelogWriter;
  readonly brick: ModelBrick;
  /** Called at each lookup on the brick, with their number so far. */
  onStep: (step: number) => void = () => undefined;
  #micros = 0;
  #steps = 0;

  constructor() {
    this.changelog = new ChangelogWriter(this.volume, () => [100, ++this.#micros]);
    this.brick = new ModelBrick(this.volume, this.changelog, () => {
      this.onStep(this.#steps++);
      return Promise.resolve();
    });
  }

  create(parent: Gfid, name: string, n: number, mode: number): void {
    this.volume.create(entryPath(parent, name), { gfid: gfid(n), mode, target: 't' }, 'CREATE');
  }

  async walk(bounds: { limit: Xtime | null; from: Xtime | null } = { limit: null, from: null }): Promise<WalkChunk[]> {
    const mode = {
      primaryXtime: (path: string) => this.brick.xtime(path),
      secondaryXtime: async (path: string) => (await this.brick.stime(path)) ?? MINUS_INFINITY,
      needSync: (xtime: Xtime, stime: Xtime) => xtime[0] > stime[0] || (xtime[0] === stime[0] && xtime[1] > stime[1]),
      checkReversion: () => undefined,
    };
    const chunks: WalkChunk[] = [];
    for await (const chunk of new XsyncWalk(this.brick, mode, LOG, bounds).chunks(new AbortController().signal))
      chunks.push(chunk);
    return chunks;
  }

  /** Sets the stimes, as a crawl does once the chunks are synced. */
  async commit(chunks: readonly WalkChunk[]): Promise<void> {
    for (const { path, mark } of chunks.flatMap(({ stimes }) => stimes))
      await this.brick.setStime(path, VOLUME_UUID, mark);
  }
}

function entries(chunks: readonly WalkChunk[]): (ChangeRecord & { type: 'entry' })[] {
  return chunks.flatMap(({ records }) => records).filter((record) => record.type === 'entry');
}

/** A record as text: `MKDIR 1 in 0 as a`. */
function brief({ fop, gfid: id, parent, name }: ChangeRecord & { type: 'entry' }): string {
  return `${fop} ${Number.parseInt(id.slice(0, 8), 16)} in ${Number.parseInt(parent.slice(0, 8), 16)} as ${name}`;
}

describe('XsyncWalk', () => {
  test('records each file type with a suitable operation, and directories before their content', async () => {
    const site = new Endpoints();
    site.create(ROOT_GFID, 'd', 1, S_IFDIR | 0o750);
    site.create(gfid(1), 'f', 2, S_IFREG | 0o644);
    site.create(gfid(1), 'many', 3, S_IFREG | 0o600);
    site.volume.link(`.gfid/${gfid(3)}`, entryPath(ROOT_GFID, 'names'));
    site.create(ROOT_GFID, 's', 4, S_IFLNK | 0o777);
    site.create(ROOT_GFID, 's1', 5, S_IFLNK | 0o777);
    site.volume.link(`.gfid/${gfid(5)}`, entryPath(ROOT_GFID, 's2'));
    site.create(ROOT_GFID, 'p', 6, 0o010640);
    const chunks = await site.walk();
    expect(entries(chunks).map(brief)).toEqual([
      'MKDIR 1 in 0 as d',
      'MKNOD 2 in 1 as f',
      'LINK 3 in 1 as many',
      'LINK 3 in 0 as names',
      'SYMLINK 4 in 0 as s',
      'LINK 5 in 0 as s1',
      'LINK 5 in 0 as s2',
      'MKNOD 6 in 0 as p',
    ]);
    const others = chunks.flatMap(({ records }) => records).filter((record) => record.type !== 'entry');
    expect(others.map((record) => `${record.type} ${Number.parseInt(record.gfid.slice(0, 8), 16)}`)).toEqual([
      'meta 1',
      'data 2',
      'data 3',
      'data 3',
      'meta 6',
    ]);
  });

  test('skips what is not newer than the stimes, and sets no stime beyond the limit', async () => {
    const site = new Endpoints();
    site.create(ROOT_GFID, 'old', 1, S_IFDIR | 0o755);
    site.create(gfid(1), 'f', 2, S_IFREG);
    await site.commit(await site.walk());
    site.create(ROOT_GFID, 'new', 3, S_IFDIR | 0o755);
    const chunks = await site.walk({ limit: [100, 4], from: null });
    expect(entries(chunks).map(brief)).toEqual(['MKDIR 3 in 0 as new']);
    expect(chunks.flatMap(({ stimes }) => stimes.map(({ mark }) => mark[1] <= 4))).toEqual([true, true]);
  });

  test('records a directory with all its content, also when it moves during the walk', async () => {
    for (let step = 0; step < 60; step++) {
      const site = new Endpoints();
      site.create(ROOT_GFID, 'walked', 1, S_IFDIR | 0o755);
      site.create(ROOT_GFID, 'moves', 2, S_IFDIR | 0o755);
      site.create(gfid(2), 'inner', 3, S_IFDIR | 0o755);
      site.create(gfid(3), 'f', 4, S_IFREG | 0o644);
      site.create(gfid(2), 'g', 5, S_IFREG | 0o644);
      site.onStep = (n) => {
        if (n === step) site.volume.rename(entryPath(ROOT_GFID, 'moves'), entryPath(gfid(1), 'moved'));
      };
      const found = new Set(entries(await site.walk()).map((record) => record.gfid));
      if (found.has(gfid(2)))
        expect(
          [gfid(3), gfid(4), gfid(5)].filter((id) => !found.has(id)),
          `moved at step ${step}`,
        ).toEqual([]);
    }
  });

  test('never confuses two inodes, whatever changes during the walk', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(changeArb(), { maxLength: 30, size: 'max' }),
        fc.array(changeArb(), { maxLength: 30, size: 'max' }),
        async (before, during) => {
          const site = new Endpoints();
          const changer = new Changer(site.volume, 0x10);
          const kinds = new Map<Gfid, number>();
          const note = (): void => {
            for (const inode of site.volume.inodes.values()) kinds.set(inode.gfid, inode.mode & S_IFMT);
          };
          for (const change of before) changer.make(change);
          note();
          site.onStep = (n) => {
            const change = during[n];
            if (change !== undefined) changer.make(change);
            note();
          };
          for (const { gfid: id, fop, mode } of entries(await site.walk())) {
            if (mode !== undefined) expect(mode & S_IFMT, `${fop} ${id}`).toBe(kinds.get(id));
            else if (fop === 'SYMLINK') expect(kinds.get(id)).toBe(S_IFLNK);
          }
        },
      ),
      { numRuns: 200, seed: 20_260 },
    );
  });
});
