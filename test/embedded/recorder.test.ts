// The recorder's changelogs, read back with the decoder for real ones: the records of each operation, and that replaying
// them gives the tree, also after a crash at any moment.

import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readHtime } from '../../src/changelog/htime.js';
import { decodeChangelog } from '../../src/changelog/decode.js';
import type { ChangeRecord } from '../../src/changelog/record.js';
import { openLayout, type BrickLayout } from '../../src/embedded/layout.js';
import { Recorder } from '../../src/embedded/recorder.js';
import { placeKey, TreeIndex } from '../../src/embedded/tree-index.js';
import { fsDecode, fsEncode } from '../../src/names.js';
import { createLogger } from '../../src/log.js';
import { Random } from '../gluster/lab/random.js';
import { Workload } from '../gluster/lab/workload.js';
import { lremovexattr, lsetxattr } from '../../src/native/libc.js';
import { applyOperation } from './apply.js';
import { takesXattrs } from './takes-xattrs.js';
import { seedFrom } from '../seeds.js';

const SEED = seedFrom('GSYNCD_EMBEDDED_SEED');
/** Longer than one tick of the clock that the kernel takes file times from. */
const TICK_MS = 25;

let root: string;
let layout: BrickLayout;
let recorder: Recorder;
let read: Set<string>;

function newRecorder(): Recorder {
  return new Recorder({
    layout,
    log: createLogger({ destination: '/dev/null', level: 'ERROR', label: 'test' }).child({ module: 'test' }),
    rolloverMs: 15_000,
  });
}

/** Records of the changelogs that were listed since the last call. */
async function news(): Promise<ChangeRecord[]> {
  const { entries } = await readHtime(join(layout.changelogDir, 'htime'));
  const fresh = entries.filter(({ path, isEmpty }) => !isEmpty && !read.has(path));
  return fresh.flatMap(({ path }) => {
    read.add(path);
    return decodeChangelog(fs.readFileSync(path), path);
  });
}

async function recordsOf(change: () => void): Promise<string[]> {
  change();
  await delay(TICK_MS);
  await recorder.flush();
  return (await news()).map((record) =>
    record.type === 'data'
      ? 'D'
      : record.type === 'meta'
        ? `M ${record.fop}`
        : `${record.fop} ${record.name}${record.newName === undefined ? '' : ` to ${record.newName}`}`,
  );
}

const at = (path: string): string => join(root, path);

beforeEach(async () => {
  root = fs.mkdtempSync(join(tmpdir(), 'gsyncd-recorder-'));
  layout = await openLayout(root);
  recorder = newRecorder();
  read = new Set();
  expect(await recorder.open()).toBe('indexed');
});

afterEach(async () => {
  await recorder.close();
  fs.rmSync(root, { recursive: true, force: true });
});

describe('the recorder writes', () => {
  test('one record for each operation, as the changelog translator does', async () => {
    expect(await recordsOf(() => fs.writeFileSync(at('a'), ''))).toEqual(['CREATE a']);
    expect(await recordsOf(() => fs.writeFileSync(at('b'), 'data'))).toEqual(['CREATE b', 'D']);
    expect(await recordsOf(() => fs.appendFileSync(at('b'), 'more'))).toEqual(['D']);
    expect(await recordsOf(() => fs.mkdirSync(at('d')))).toEqual(['MKDIR d']);
    expect(await recordsOf(() => fs.renameSync(at('a'), at('d/a')))).toEqual(['RENAME a to a']);
    expect(await recordsOf(() => fs.renameSync(at('d/a'), at('b')))).toEqual(['RENAME a to b']);
    expect(await recordsOf(() => fs.linkSync(at('b'), at('d/l')))).toEqual(['LINK l']);
    expect(await recordsOf(() => fs.symlinkSync('b', at('s')))).toEqual(['SYMLINK s']);
    expect(await recordsOf(() => fs.chmodSync(at('b'), 0o600))).toEqual(['M SETATTR']);
    expect(await recordsOf(() => fs.renameSync(at('d'), at('e')))).toEqual(['RENAME d to e']);
    expect(await recordsOf(() => fs.unlinkSync(at('e/l')))).toEqual(['UNLINK l']);
    expect(await recordsOf(() => fs.rmdirSync(at('e')))).toEqual(['RMDIR e']);
    expect(await recordsOf(() => undefined)).toEqual([]);
  });

  test('a data record for a write after which a tool restored the old mtime', async () => {
    fs.writeFileSync(at('f'), 'old');
    await recordsOf(() => undefined);
    const { atime, mtime } = fs.statSync(at('f'));
    const records = await recordsOf(() => {
      fs.writeFileSync(at('f'), 'new');
      fs.utimesSync(at('f'), atime, mtime);
    });
    expect(records).toContain('D');
  });

  test('changes made while it did not run, exactly once', async () => {
    fs.writeFileSync(at('before'), 'x');
    await recordsOf(() => undefined);
    await recorder.close();
    fs.renameSync(at('before'), at('after'));
    fs.mkdirSync(at('new'));
    await delay(TICK_MS);
    recorder = newRecorder();
    expect(await recorder.open()).toBe('continued');
    expect(await recordsOf(() => undefined)).toEqual(['RENAME before to after', 'MKDIR new']);
  });
});

describe('after a crash, the recorder writes a record for the reversal of', () => {
  const NAME = 'user.recorder';

  /** Abandons the recorder as SIGKILL would: neither closed nor saved. */
  async function afterCrash(change: () => void): Promise<string[]> {
    change();
    await delay(TICK_MS);
    recorder = newRecorder();
    expect(await recorder.open()).toBe('continued');
    return recordsOf(() => undefined);
  }

  /** Saves the index: a recorder does so when it ends, and again when the next one closes its first changelog. */
  async function saveIndex(): Promise<void> {
    await recordsOf(() => undefined);
    await recorder.close();
    recorder = newRecorder();
    await recorder.open();
    await recordsOf(() => fs.writeFileSync(at('saved'), ''));
  }

  test.each(['saved index', 'changelog'])('a directory mode that is in the %s', async (where) => {
    fs.mkdirSync(at('d'));
    if (where === 'saved index') await saveIndex();
    else await recordsOf(() => undefined);
    expect(await recordsOf(() => fs.chmodSync(at('d'), 0o700))).toEqual(['M SETATTR']);
    expect(await afterCrash(() => fs.chmodSync(at('d'), 0o755))).toContain('M SETATTR');
  });

  test.skipIf(!takesXattrs())('xattrs of a directory', async () => {
    fs.mkdirSync(at('d'));
    await saveIndex();
    expect(await recordsOf(() => lsetxattr(at('d'), NAME, Buffer.from('x')))).toEqual(['M SETXATTR']);
    expect(await afterCrash(() => lremovexattr(at('d'), NAME))).toContain('M REMOVEXATTR');
  });

  test.skipIf(!takesXattrs())('xattrs of a directory created after the index was saved', async () => {
    expect(
      await recordsOf(() => {
        fs.mkdirSync(at('d'));
        lsetxattr(at('d'), NAME, Buffer.from('x'));
      }),
    ).toEqual(['MKDIR d', 'M SETXATTR']);
    expect(await afterCrash(() => lremovexattr(at('d'), NAME))).toContain('M REMOVEXATTR');
  });
});

test(`replayed records give the tree after random operations, flushes and crashes (seed ${SEED})`, async () => {
  const workload = new Workload({ seed: SEED, names: 'bytes', attributes: 'plain', top: 'top' });
  const random = new Random(SEED);
  const replayed = new TreeIndex();
  for (let round = 0; round < 60; round += 1) {
    for (const operation of workload.next(1 + random.int(60))) applyOperation(root, operation);
    if (random.int(4) === 0) {
      // Abandoned, as by SIGKILL: neither closed nor saved.
      recorder = newRecorder();
      await recorder.open();
    }
    await recorder.flush();
    for (const record of await news()) replayed.apply(record);
    expect(names(replayed)).toEqual(tree());
  }
}, 60_000);

function names(index: TreeIndex): string[] {
  const out: string[] = [];
  for (const node of index.nodes.values())
    for (const place of node.names.values()) out.push(join(index.pathOf(place.parent) ?? placeKey(place), place.name));
  return out.sort();
}

function tree(): string[] {
  const found = fs
    .readdirSync(root, { encoding: 'buffer' })
    .map(fsDecode)
    .filter((name) => name !== '.glusterfs');
  return found.flatMap((name) => [name, ...below(name)]).sort();
}

function below(path: string): string[] {
  const file = Buffer.concat([Buffer.from(`${root}/`), fsEncode(path)]);
  if (!fs.lstatSync(file).isDirectory()) return [];
  return fs
    .readdirSync(file, { encoding: 'buffer' })
    .map(fsDecode)
    .flatMap((name) => [`${path}/${name}`, ...below(`${path}/${name}`)]);
}

test.each(['', '{"version":2,', '{"version":2,"journalsUpTo":1,"count":1}\n[[', '{"version":2,"count":0}', 'null'])(
  'open() indexes the brick again when the saved index holds %j',
  async (text) => {
    await recordsOf(() => fs.writeFileSync(at('a'), 'data'));
    await recorder.close();
    const [snapshot = ''] = fs
      .readdirSync(join(root, '.glusterfs/embedded'))
      .filter((name) => name.startsWith('index'));
    expect(snapshot).not.toBe('');
    fs.writeFileSync(join(root, '.glusterfs/embedded', snapshot), text);
    recorder = newRecorder();
    expect(await recorder.open()).toBe('indexed');
    expect(await recordsOf(() => fs.appendFileSync(at('a'), 'more'))).toEqual(['D']);
  },
);
