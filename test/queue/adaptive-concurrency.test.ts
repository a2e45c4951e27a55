// AdaptiveConcurrency with a model of the secondary and a simulated clock.

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { AdaptiveConcurrency, type WorkKind } from '../../src/queue/adaptive-concurrency.js';
import { limitedEngine, limitedSecondary } from '../../src/queue/limited.js';
import type { DataEngine } from '../../src/queue/engine.js';
import type { EntryOp, Secondary } from '../../src/protocol/secondary.js';
import { ROOT_GFID, type Gfid } from '../../src/protocol/gfid.js';

/** A secondary that needs `costS` a unit. Concurrent calls take `factor` times as long as the same calls in series. Its
 *  clock advances in steps. */
class Model {
  nowS = 0;
  most = 0;
  readonly lines: string[] = [];
  readonly limiter = new AdaptiveConcurrency({ info: (message) => void this.lines.push(message) }, () => this.nowS);
  readonly #calls = new Set<{ leftS: number; end: () => void }>();
  factor: number;

  constructor(factor: number) {
    this.factor = factor;
  }

  call(work: WorkKind, units: number, costS: number, signal?: AbortSignal): Promise<void> {
    return this.limiter.run(work, units, () => this.work(units * costS), signal);
  }

  work(seconds: number): Promise<void> {
    return new Promise((resolve) => {
      const call = { leftS: seconds, end: (): void => void (this.#calls.delete(call), resolve()) };
      this.#calls.add(call);
      this.most = Math.max(this.most, this.#calls.size);
    });
  }

  /** Advances the clock until `done` settles. */
  async pass(done: Promise<unknown>): Promise<void> {
    let open = true;
    void done.finally(() => (open = false));
    for (let steps = 0; steps < 100_000; steps++) {
      for (let i = 0; i < 12; i++) await Promise.resolve();
      if (!open) return;
      const calls = [...this.#calls];
      if (calls.length === 0) throw new Error('model: nothing is under way, and something waits');
      this.nowS += 0.01;
      const each = 0.01 / (calls.length === 1 ? 1 : calls.length * this.factor);
      for (const call of calls) if ((call.leftS -= each) <= 1e-9) call.end();
    }
    throw new Error('model: no end');
  }

  /** Two lanes of entries and two jobs of files, `calls` calls of 100 each. */
  async flow(calls: number): Promise<number> {
    const beganS = this.nowS;
    const lane = async (work: WorkKind, costS: number): Promise<void> => {
      for (let i = 0; i < calls; i++) await this.call(work, 100, costS);
    };
    await this.pass(Promise.all([lane('entries', 0.001), lane('entries', 0.001), lane('files', 0.004), lane('files', 0.004)]));
    return this.nowS - beganS;
  }
}

describe('AdaptiveConcurrency', () => {
  test('runs calls in parallel where that is faster, except for measurements in series', async () => {
    const model = new Model(0.6);
    const seconds = await model.flow(40);
    const alone = 40 * 100 * 2 * (0.001 + 0.004);
    expect(seconds).toBeLessThan(0.75 * alone);
    expect(model.most).toBe(4);
    expect(model.lines).toEqual([]);
  });

  test('runs calls one at a time where that is faster, and probes parallel calls less and less often', async () => {
    const model = new Model(2.5);
    const seconds = await model.flow(200);
    const alone = 200 * 100 * 2 * (0.001 + 0.004);
    expect(seconds).toBeLessThan(1.15 * alone);
    expect(model.lines.length).toBeGreaterThan(2);
    expect(model.lines.length).toBeLessThan(8);
  });

  test('adapts when the secondary becomes slower or faster for parallel calls', async () => {
    const model = new Model(0.6);
    await model.flow(40);
    model.factor = 2.5;
    const slow = 100 * 100 * 2 * (0.001 + 0.004);
    expect(await model.flow(100)).toBeLessThan(1.2 * slow);
    expect(model.lines.length).toBeGreaterThan(0);
    model.factor = 0.6;
    await model.flow(200);
    const lines = model.lines.length;
    expect(await model.flow(40)).toBeLessThan(0.8 * 40 * 100 * 2 * 0.005);
    expect(model.lines.length).toBe(lines);
  });

  test('runs small calls and transfers of large files without waiting', async () => {
    const model = new Model(1);
    const large = model.call('entries', 1_000, 0.01);
    const small = model.call('entries', 5, 0.001);
    const beside = model.limiter.runUnlimited(() => model.work(1));
    await model.pass(Promise.all([small, beside]));
    expect(model.nowS).toBeLessThan(5);
    await model.pass(large);
    expect(model.most).toBe(3);
  });

  test('does not serialize calls while a large transfer runs', async () => {
    const model = new Model(1);
    const beside = model.limiter.runUnlimited(() => model.work(100));
    const calls = [model.call('entries', 100, 0.001), model.call('files', 100, 0.001)];
    await model.pass(Promise.all(calls));
    expect(model.most).toBe(3);
    await model.pass(beside);
  });

  test('measures long calls only after they end', async () => {
    const model = new Model(0.9);
    const call = async (work: WorkKind, costS: number): Promise<void> => {
      for (let i = 0; i < 12; i++) await model.call(work, 100, costS);
    };
    await model.pass(Promise.all([call('entries', 0.001), call('files', 0.05), call('files', 0.05), call('files', 0.05)]));
    expect(model.lines).toEqual([]);
    expect(model.most).toBe(4);
  });

  test('takes no measurements while a large transfer runs', async () => {
    const model = new Model(2.5);
    const beside = model.limiter.runUnlimited(() => model.work(400));
    await model.flow(40);
    expect(model.lines).toEqual([]);
    expect(model.most).toBe(5);
    await model.pass(beside);
  });

  test('ends the turn of a failed call and ignores its duration', async () => {
    const model = new Model(1);
    await expect(model.limiter.run('files', 100, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    const [a, b] = [model.call('files', 100, 0.001), model.call('files', 100, 0.001)];
    await model.pass(Promise.all([a, b]));
    expect(model.most).toBe(1);
  });

  test('rejects a waiting call whose signal aborts, and runs the others', async () => {
    const model = new Model(1);
    const stop = new AbortController();
    const first = model.call('entries', 100, 0.01);
    const second = model.call('files', 100, 0.01, stop.signal);
    const third = model.call('entries', 100, 0.01);
    await sleep(0);
    stop.abort();
    await expect(second).rejects.toMatchObject({ code: 'stopped' });
    await expect(model.call('files', 100, 0.01, stop.signal)).rejects.toMatchObject({ code: 'stopped' });
    await model.pass(Promise.all([first, third]));
  });
});

describe('limitedEngine() and limitedSecondary()', () => {
  const gfids = Array.from({ length: 100 }, (_, i) => `00000000-0000-4000-8000-${String(i).padStart(12, '0')}` as Gfid);

  test('limit boxes of small files and calls by kind, and run large files beside', async () => {
    const ran: string[] = [];
    const limiter = {
      run: (work: WorkKind, units: number, call: () => Promise<unknown>) => (ran.push(`${work} ${units}`), call()),
      runUnlimited: (call: () => Promise<unknown>) => (ran.push('beside'), call()),
    } as unknown as AdaptiveConcurrency;
    const engine: DataEngine = { name: 'none', sync: () => Promise.resolve({ returnCode: 0, synced: new Set(), failed: new Map() }) };
    const paced = limitedEngine(engine, limiter);
    expect(paced.name).toBe('none');
    for (const maxFileBytes of [4096, 65_536, 65_537]) await paced.sync(gfids, { logErrors: false, maxFileBytes });
    await paced.sync(gfids, { logErrors: false });
    const secondary = limitedSecondary({ entryOps: () => Promise.resolve([]), metaOps: () => Promise.resolve([]) } as unknown as Secondary, limiter);
    const ops = gfids.map((gfid): EntryOp => ({ op: 'UNLINK', gfid, entry: `.gfid/${ROOT_GFID}/a` }));
    await secondary.entryOps(ops);
    await secondary.entryOps(ops.map((op) => ({ ...op, gfid: ROOT_GFID })));
    await secondary.metaOps([]);
    expect(ran).toEqual(['files 100', 'files 100', 'beside', 'beside', 'entries 100', 'lookups 100', 'attributes 0']);
  });
});
