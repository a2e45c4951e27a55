// The secondary as a process: input that is no request ends it at once without effect, a silent primary times out, the next
// start removes what a killed one left, and no batch delays other answers. The samples' seed is printed;
//   SECONDARY_SEED=n     repeats a run
//   SECONDARY_SAMPLES=n  number of samples (default 30)
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { encodePickle } from '../../src/rpc/pickle-encode.js';
import { PUT_FILES_METHOD } from '../../src/rpc/features.js';
import { pyTuple } from '../../src/rpc/pickle-values.js';
import type { PyValue } from '../../src/rpc/pickle-values.js';
import { childrenOf } from './lab/machine.js';
import { clientOf, everythingIn, OUTSIDE, plantTrees, SEED, startOwnSecondary } from './lab/own-secondary.js';
import type { Ended, OwnSecondary } from './lab/own-secondary.js';
import { useLab } from './lab/use-lab.js';
import { fc } from '../seeds.js';

const SAMPLES = Number(process.env['SECONDARY_SAMPLES'] ?? 30);

const lab = useLab({ session: 'none' });

const ROOT = '.gfid/00000000-0000-0000-0000-000000000001';
const NEW = {
  op: 'CREATE',
  skip_entry: false,
  gfid: '5eb7c2a4-1f0d-4d2b-9a53-0e5a7c1d9b42',
  entry: `${ROOT}/new`,
  mode: 0o100644,
  uid: 0,
  gid: 0,
};
const requestOf = (method: string, ...args: PyValue[]): Buffer =>
  encodePickle(pyTuple([pyTuple([1, 2, 3.5]), method, ...args]));
const PID = requestOf('pid');
/** Requests that change the tree. */
const CHANGES: readonly Buffer[] = [
  requestOf('purge', '.', ['canary']),
  requestOf('purge', 'dir'),
  requestOf('entry_ops', [NEW]),
  requestOf('setattr', 'linked', { own: pyTuple([1000, 100]), mode: 0o777, times: pyTuple([1, 2]) }),
  requestOf('mkdir', 'made'),
];

const HOSTILE: Readonly<Record<string, readonly Buffer[]>> = {
  'a pickle that calls os.system': [Buffer.from(`cos\nsystem\n(S'touch ${OUTSIDE}/called'\ntR.`, 'latin1')],
  'a pickle that is no request': [encodePickle(['purge', '.'])],
  'a pickle without end': [Buffer.from(']'.repeat(200_000), 'latin1')],
};

const bytes = fc.uint8Array({ minLength: 1, maxLength: 5000 }).map((array) => Buffer.from(array));
const cutShort = fc
  .tuple(fc.constantFrom(...CHANGES), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }))
  .map(([whole, part]) => whole.subarray(0, 1 + Math.floor(part * (whole.length - 1))));
/** A cut request with random bytes, which cannot complete it: a pickle ends with a full stop, and here is none. */
const goneWrong = fc
  .tuple(cutShort, bytes)
  .map(([start, rest]) => Buffer.concat([start, rest.map((byte) => (byte === 0x2e ? 0 : byte)) as Buffer]));
const sample = fc
  .tuple(fc.constantFrom([], [PID]), fc.oneof(bytes, cutShort, goneWrong))
  .map(([before, bad]) => [...before, bad]);

/** Sends these bytes and the end of input to a new secondary. @returns how it ended */
async function feed(chunks: readonly Buffer[]): Promise<Ended> {
  const { child, ended } = startOwnSecondary(lab());
  child.stdout?.resume();
  for (const chunk of chunks) child.stdin?.write(chunk);
  child.stdin?.end();
  return ended;
}

/** Sends a request and waits for an answer's first bytes. */
async function answered({ child }: OwnSecondary, request: Buffer): Promise<void> {
  await new Promise((resolve) => {
    child.stdout?.once('data', resolve);
    child.stdin?.write(request);
  });
}

test(`input that is no request ends the secondary with one line and without effect (seed ${SEED})`, async () => {
  await plantTrees(lab());
  const before = await everythingIn(lab());
  const samples = fc
    .sample(sample, { seed: SEED, numRuns: SAMPLES })
    .map((chunks, i): [string, readonly Buffer[]] => [`sample ${i}`, chunks]);
  const left = [...Object.entries(HOSTILE), ...samples];
  const next = async (): Promise<void> => {
    for (let one = left.pop(); one !== undefined; one = left.pop()) {
      const [name, chunks] = one;
      const { code, stderr } = await feed(chunks);
      const told = `${name}: ${Buffer.concat(chunks).subarray(0, 200).toString('hex')}`;
      expect(code, told).toBeGreaterThan(0);
      expect(stderr, told).toMatch(/^gsyncd-ts: .*\n$/);
    }
  };
  await Promise.all([next(), next(), next(), next()]);
  expect(await everythingIn(lab())).toEqual(before);
  await lab().assertNoMountsLeft(20_000);
});

test('control: the same requests change the tree when they are complete', async () => {
  for (const [i, request] of CHANGES.entries()) {
    const before = await everythingIn(lab());
    const secondary = startOwnSecondary(lab());
    await answered(secondary, request);
    secondary.child.stdin?.end();
    expect(await secondary.ended, `request ${i}`).toEqual({ code: 0, stderr: '' });
    expect(await everythingIn(lab()), `request ${i}`).not.toEqual(before);
  }
});

test('content goes to the inode with its gfid, though another file has taken the name under which it was created', async () => {
  const secondary = startOwnSecondary(lab());
  const client = clientOf(secondary);
  const [moved, usurper, still] = [randomUUID(), randomUUID(), randomUUID()];
  const create = (gfid: string, name: string): PyValue => ({ ...NEW, gfid, entry: `${ROOT}/${name}` });
  const calls: PyValue[] = [
    create(moved, 'taken'),
    { op: 'RENAME', gfid: moved, entry: `${ROOT}/taken`, entry1: `${ROOT}/moved`, stat: null, link: null },
    create(usurper, 'taken'),
    create(still, 'still'),
  ];
  expect(await client.call('entry_ops', [calls])).toEqual([]);
  const attributes = { mode: 0o640, uid: 12, gid: 34, mtime: pyTuple([1_700_000_000, 5]), compare: 'content' };
  const files = Object.entries({ moved, still }).map(([name, gfid]) => ({
    gfid,
    content: Buffer.from(`content of ${name}`),
    ...attributes,
  }));
  expect(await client.call(PUT_FILES_METHOD, [files])).toEqual([0, 0]);
  secondary.child.stdin?.end();
  await secondary.ended;
  const seen = await lab().sh(
    'for name in moved taken still; do stat -c %s,%a,%u,%g,%Y $name; cat $name; echo; done',
    lab().secondary,
  );
  expect(seen.split('\n').filter((line) => line !== '')).toEqual([
    '16,640,12,34,1700000000',
    'content of moved',
    expect.stringMatching(/^0,644,0,0,/),
    '16,640,12,34,1700000000',
    'content of still',
  ]);
});

test('the secondary ends when the primary is silent for the configured timeout', async () => {
  const { child, ended } = startOwnSecondary(lab(), 2);
  child.stdout?.resume();
  expect(await ended).toEqual({ code: 0, stderr: '' });
  await lab().assertNoMountsLeft(20_000);
});

test('the next secondary removes the mount that a killed one left', async () => {
  const killed = startOwnSecondary(lab());
  await answered(killed, PID);
  const [pid] = await childrenOf(killed.child.pid!);
  process.kill(pid!, 'SIGKILL');
  await killed.ended;
  expect((await lab().exec(['ls', '/run/gluster/gsyncd-mounts'])).stdout).toContain('aux-mount');
  expect((await feed([])).code).toBe(0);
  await lab().assertNoMountsLeft(20_000);
});

test('the secondary answers other calls while it works on a large batch', async () => {
  const secondary = startOwnSecondary(lab());
  const client = clientOf(secondary);
  // Each asks the bricks and fails, which takes less than making as many files and removing them with the lab.
  const batch = Array.from({ length: 10_000 }, (_, i) => ({
    ...NEW,
    gfid: randomUUID(),
    entry: `.gfid/${randomUUID()}/some file ${i}`,
  }));
  const pid = await client.call('pid', []);
  const waits: number[] = [];
  let isDone = false;
  const began = performance.now();
  const failures = client.call('entry_ops', [batch]).finally(() => (isDone = true));
  while (!isDone) {
    const asked = performance.now();
    expect(await client.call('pid', [])).toBe(pid);
    waits.push(performance.now() - asked);
    await sleep(100);
  }
  const tookMs = performance.now() - began;
  expect((await failures) as PyValue[]).toHaveLength(batch.length);
  // A few calls during the batch would prove nothing.
  expect(waits.length).toBeGreaterThan(5);
  // A loaded machine is slow in both.
  expect(Math.max(...waits), `of ${waits.length} answers in ${tookMs} ms`).toBeLessThan(Math.max(2000, tookMs / 4));
  secondary.child.stdin?.end();
  expect((await secondary.ended).code).toBe(0);
});
