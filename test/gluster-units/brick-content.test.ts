// Checks for which volfiles the worker may read files on the brick instead of through the mount.
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { BrickContent, isReadPassThrough } from '../../src/gluster/brick-content.js';

const volfile = (...types: string[]): string =>
  types.map((type, i) => `volume v${i}\n    type ${type}\nend-volume\n`).join('\n');
const BRICK = [
  'storage/posix',
  'features/trash',
  'features/changelog',
  'features/bitrot-stub',
  'features/marker',
  'performance/io-threads',
  'debug/io-stats',
  'protocol/server',
];
const CLIENT = [
  'protocol/client',
  'protocol/client',
  'cluster/replicate',
  'cluster/distribute',
  'features/utime',
  'performance/quick-read',
  'debug/io-stats',
];

describe('isReadPassThrough()', () => {
  it('is true for plain, distributed and replicated volumes', () => {
    expect(isReadPassThrough(volfile(...BRICK))).toBe(true);
    expect(isReadPassThrough(volfile(...CLIENT))).toBe(true);
  });

  it.each([
    'features/arbiter',
    'debug/error-gen',
    'cluster/disperse',
    'features/shard',
    'features/cloudsync',
    'features/unheard-of',
  ])('is false with %s', (type) => {
    expect(isReadPassThrough(volfile(...CLIENT, type))).toBe(false);
  });

  it('is false for text that is not a volfile', () => {
    expect(isReadPassThrough('')).toBe(false);
  });
});

describe('BrickContent', () => {
  const base = mkdtempSync(join(tmpdir(), 'brick-content-'));
  const dir = join(base, 'vols/gv0');
  afterAll(() => rmSync(base, { recursive: true }));
  const put = (name: string, text: string): void => {
    writeFileSync(join(dir, `${name}.tmp`), text);
    renameSync(join(dir, `${name}.tmp`), join(dir, name));
  };
  const brick = (path: string, ...more: string[]): string =>
    `${volfile(...BRICK, ...more)}    option directory ${path}\n`;
  const content = (brickPath: string): BrickContent =>
    new BrickContent({ glusterdWorkdir: base, volume: 'gv0', brickPath });

  it('inspect() follows changes of the volfiles of this brick and of the client', () => {
    expect(content('/b/1').inspect().hasClientContent).toBe(false);
    mkdirSync(dir, { recursive: true });
    put('gv0.host.b-1.vol', brick('/b/1'));
    put('gv0.host.b-10.vol', brick('/b/10', 'features/arbiter'));
    const [one, ten, other] = [content('/b/1'), content('/b/10'), content('/b')];
    expect(one.inspect().hasClientContent).toBe(false);
    put('trusted-gv0.tcp-fuse.vol', volfile(...CLIENT));
    expect([one, ten, other].map((each) => each.inspect().hasClientContent)).toEqual([true, false, false]);
    expect(one.inspect()).toEqual({ hasClientContent: true, hasCopies: true, hasXattrTimes: true });
    put('trusted-gv0.tcp-fuse.vol', volfile('protocol/client', 'cluster/distribute'));
    expect(one.inspect()).toEqual({ hasClientContent: true, hasCopies: false, hasXattrTimes: false });
    put('trusted-gv0.tcp-fuse.vol', volfile(...CLIENT));
    put('gv0.host.b-1.vol', brick('/b/1', 'debug/error-gen'));
    expect(one.inspect().hasClientContent).toBe(false);
    put('gv0.host.b-1.vol', brick('/b/1'));
    put('trusted-gv0.tcp-fuse.vol', volfile(...CLIENT, 'features/shard'));
    expect(one.inspect().hasClientContent).toBe(false);
  });
});
