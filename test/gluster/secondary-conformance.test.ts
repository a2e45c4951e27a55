// The stock daemon's client sends equal calls to the stock secondary and to this project's, on two fresh volumes. The answers
// and the resulting trees have to be equal.
import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { entryPath, type Gfid } from '../../src/protocol/gfid.js';
import { EntrySync } from '../../src/primary/reconcile/entry-sync.js';
import { SecondaryProbe } from '../../src/primary/reconcile/secondary-probe.js';
import { RepceClient } from '../../src/rpc/client.js';
import { STOCK_FEATURES } from '../../src/rpc/features.js';
import { handshake } from '../../src/rpc/handshake.js';
import { SequentialCalls } from '../../src/rpc/one-call.js';
import { RemoteSecondary } from '../../src/rpc/remote-secondary.js';
import { bothSecondaries } from './lab/both-secondaries.js';
import { REPO } from './lab/machine.js';
import { useLab } from './lab/use-lab.js';

const lab = useLab({ session: 'none' });

test('both secondaries give the same answers and leave the same tree', async () => {
  const { daemon, stock: stockCommand, own: ownCommand } = await bothSecondaries(lab());
  const ask = async (volume: string, command: readonly string[]): Promise<unknown> => {
    const results = `/srv/${volume}.json`;
    await lab().exec(['python3', `${REPO}/test/fixtures/secondary/calls.py`, daemon, results, ...command], {
      onFailure: 'return',
    });
    return JSON.parse(await lab().read(results));
  };
  const tree = (at: string): Promise<string> =>
    lab().sh(
      String.raw`find . -path ./.trashcan -prune -o -printf '%P %y %m %U %G %T@ %l\n' | sed '1s/.*//' | grep -v '^made by path' | sort`,
      at,
    );
  const stock = await ask('gv0', stockCommand);
  const own = await ask('sv0', ownCommand);
  expect(own).toEqual(stock);
  expect((await tree(lab().secondary)).replaceAll(/ \d{10}\.\d+ /g, ' now ')).toBe(
    (await tree(lab().primary)).replaceAll(/ \d{10}\.\d+ /g, ' now '),
  );
  await lab().assertNoMountsLeft();
});

/** Long names make the answer to 200 probes larger than a pipe holds. */
const LONG_NAMES = Array.from({ length: 600 }, (_, i) => `${i}-${'n'.repeat(240)}`);
const ROUNDS = 8;
/** Reads slowly, so that the secondary's pipe is full most of the time, as with a slow network. */
const SLOW_READER =
  'import os, time\nwhile True:\n    data = os.read(0, 4096)\n    if not data: break\n    os.write(1, data)\n    time.sleep(0.005)';

test(`a stock secondary answers ${ROUNDS} rounds of probes larger than a pipe completely, and keepalives between them`, async () => {
  await lab().sh(`mkdir probed; cd probed; for i in {0..499}; do >$i-${'n'.repeat(240)}; done`);
  const gfid = await lab().sh('getfattr -n glusterfs.gfid.string --only-values probed');
  const { stock } = await bothSecondaries(lab());
  const [file, args] = lab().box.command(['bash', '-c', `"$@" | python3 -c '${SLOW_READER}'`, 'bash', ...stock]);
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'ignore'] });
  const client = new RepceClient({ input: child.stdout, output: child.stdin });
  expect((await handshake(client)).features).toBe(STOCK_FEATURES);
  let calls = 0;
  let callsAtKeepalive = 0;
  const counted = { call: (...call: Parameters<RepceClient['call']>) => ((calls += 1), client.call(...call)) };
  const secondary = new RemoteSecondary(new SequentialCalls(counted, 60_000));
  const truth = new SecondaryProbe(secondary, new EntrySync(secondary), 'utf8');
  const names = LONG_NAMES.map((name) => entryPath(gfid.trim() as Gfid, name));
  for (let round = 1; round <= ROUNDS; round++) {
    const callsBefore = calls;
    const keepAlive = secondary.keepAlive(null).then((count) => ((callsAtKeepalive = calls), count));
    const [first, second, count] = await Promise.all([
      truth.lookup(names),
      truth.lookup([...names].reverse()),
      keepAlive,
    ]);
    expect(count).toBe(round);
    for (const { found } of [first, second])
      expect(names.map((name) => found.get(name) !== null)).toEqual(LONG_NAMES.map((_, i) => i < 500));
    expect(callsAtKeepalive - callsBefore, `of ${calls - callsBefore} calls`).toBeLessThanOrEqual(2);
  }
  client.close();
  await new Promise((resolve) => child.once('close', resolve));
});
