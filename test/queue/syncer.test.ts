// The queue against a model. Each added item gets one result, from a transfer that began after the call of add(). No gfid is
// in two transfers at a time, and no job idles while an item can be sent.

import { describe, expect, test } from 'vitest';
import { GsyncdError } from '../../src/errors.js';
import type { Gfid } from '../../src/protocol/gfid.js';
import type { DataEngine, EngineOutcome, SyncOptions } from '../../src/queue/engine.js';
import { Syncer, type SyncerOptions } from '../../src/queue/syncer.js';
import { fc } from '../seeds.js';

const gfid = (n: number): Gfid => `${n.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000` as Gfid;
const gfids = (count: number, from = 0): Gfid[] => Array.from({ length: count }, (_, i) => gfid(from + i));
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Call {
  readonly gfids: readonly Gfid[];
  readonly options: SyncOptions;
  finish(outcome?: EngineOutcome | Error): void;
}

/** An engine whose transfers end when the test calls finish(). */
class HeldEngine implements DataEngine {
  readonly name = 'held';
  readonly calls: Call[] = [];
  readonly open = new Set<Call>();

  sync(given: readonly Gfid[], options: SyncOptions): Promise<EngineOutcome> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => call.finish(new GsyncdError('run rsync: stopped', { code: 'stopped' }));
      const call: Call = {
        gfids: given,
        options,
        finish: (outcome = { returnCode: 0, synced: new Set(given), failed: new Map() }) => {
          this.open.delete(call);
          options.signal?.removeEventListener('abort', onAbort);
          if (outcome instanceof Error) reject(outcome);
          else resolve(outcome);
        },
      };
      this.calls.push(call);
      this.open.add(call);
      options.signal?.addEventListener('abort', onAbort);
    });
  }
}

function setUp(options: Partial<SyncerOptions> = {}) {
  const engine = new HeldEngine();
  const lines: [string, Record<string, unknown> | undefined][] = [];
  const log = {
    info: (message: string, fields?: Record<string, unknown>) => void lines.push([message, fields]),
    error: () => undefined,
  };
  const syncer = new Syncer({ jobs: 3, engine, log, maxFilesPerBox: 1000, minFilesPerBox: 1, ...options });
  const controller = new AbortController();
  const stopped = syncer.run(controller.signal);
  const stop = (): Promise<void> => {
    controller.abort();
    return stopped;
  };
  return { engine, lines, syncer, stop };
}

describe('Syncer', () => {
  test('divides queued items among all jobs', async () => {
    const { engine, syncer, stop } = setUp();
    const done = syncer.add(gfids(300));
    await tick();
    expect(engine.calls.map((call) => call.gfids.length)).toEqual([100, 100, 100]);
    for (const call of engine.open) call.finish();
    expect([...(await done).values()].every((result) => result.status === 'synced')).toBe(true);
    await stop();
  });

  test('puts items that several producers add in one tick into one box', async () => {
    const { engine, syncer, stop } = setUp({ minFilesPerBox: 100 });
    const adds = gfids(20).map((item) => syncer.add([item]));
    await tick();
    expect(engine.calls.map((call) => call.gfids.length)).toEqual([20]);
    engine.calls[0]!.finish();
    await Promise.all(adds);
    await stop();
  });

  test('limits a box by files and bytes, and puts a large file into a separate box', async () => {
    const { engine, syncer, stop } = setUp({ jobs: 4, maxFilesPerBox: 2, maxBytesPerBox: 100 });
    const done = syncer.add([10, 20, 30, 90, 20, 500].map((sizeBytes, i) => ({ gfid: gfid(i), sizeBytes })));
    await tick();
    expect(engine.calls.map((call) => call.gfids)).toEqual([[gfid(0), gfid(1)], [gfid(2)], [gfid(3)], [gfid(4)]]);
    engine.calls[0]!.finish();
    await tick();
    await tick();
    expect(engine.calls[4]!.gfids).toEqual([gfid(5)]);
    for (const call of engine.open) call.finish();
    await done;
    await stop();
  });

  test('divides few large files among all jobs', async () => {
    const { engine, syncer, stop } = setUp({ minFilesPerBox: 100, minBytesPerBox: 1 << 20 });
    void syncer.add(gfids(3).map((item) => ({ gfid: item, sizeBytes: 1 << 30 }))).catch(() => undefined);
    await tick();
    expect(engine.calls.map((call) => call.gfids.length)).toEqual([1, 1, 1]);
    for (const call of engine.open) call.finish();
    await stop();
  });

  test('sends a gfid again when it is added during its transfer, and returns both results', async () => {
    const { engine, syncer, stop } = setUp();
    const first = syncer.add([gfid(1)]);
    await tick();
    const second = syncer.add([gfid(1)]);
    await tick();
    expect(engine.calls).toHaveLength(1);
    engine.calls[0]!.finish();
    await first;
    await tick();
    await tick();
    expect(engine.calls).toHaveLength(2);
    engine.calls[1]!.finish({ returnCode: 23, synced: new Set(), failed: new Map([[gfid(1), 'denied']]) });
    expect((await second).get(gfid(1))).toEqual({ status: 'failed', reason: 'denied', scope: 'item' });
    await stop();
  });

  test('returns a result per gfid, which tells a failed file from a failed transfer', async () => {
    const { engine, syncer, stop } = setUp({ jobs: 1 });
    const done = syncer.add(gfids(4));
    await tick();
    engine.calls[0]!.finish({
      returnCode: 12,
      synced: new Set([gfid(0)]),
      failed: new Map([
        [gfid(1), 'denied'],
        [gfid(2), 'connection lost'],
      ]),
      broken: 'connection lost',
    });
    expect([...(await done)]).toEqual([
      [gfid(0), { status: 'synced' }],
      [gfid(1), { status: 'failed', reason: 'denied', scope: 'item' }],
      [gfid(2), { status: 'failed', reason: 'connection lost', scope: 'transfer' }],
      [gfid(3), { status: 'failed', reason: 'no result from the engine', scope: 'item' }],
    ]);
    await stop();
  });

  test('fails only the box of an engine that throws, and continues', async () => {
    const { engine, syncer, stop } = setUp({ jobs: 2 });
    const error = new GsyncdError('run rsync: /x/rsync: not found', { code: 'preflight' });
    const done = syncer.add(gfids(4));
    await tick();
    engine.calls[0]!.finish(error);
    engine.calls[1]!.finish();
    const results = await done;
    expect(results.get(gfid(0))).toEqual({
      status: 'failed',
      reason: 'run rsync: /x/rsync: not found',
      scope: 'transfer',
      error,
    });
    expect(results.get(gfid(3))).toEqual({ status: 'synced' });
    const next = syncer.add([gfid(9)]);
    await tick();
    engine.calls[2]!.finish();
    expect((await next).get(gfid(9))).toEqual({ status: 'synced' });
    await stop();
  });

  test('compares an item by times only if all of its producers ask for it', async () => {
    const { engine, syncer, stop } = setUp({ jobs: 1 });
    const done = [
      syncer.add([{ gfid: gfid(1), compare: 'times' }, gfid(2), { gfid: gfid(3), compare: 'times' }]),
      syncer.add([gfid(3)]),
    ];
    await tick();
    expect([...(engine.calls[0]!.options.compareTimes ?? [])]).toEqual([gfid(1)]);
    engine.calls[0]!.finish();
    await Promise.all(done);
    await stop();
  });

  test('applies logErrors only to the items of the producer that set it', async () => {
    const { engine, syncer, stop } = setUp({ jobs: 3, maxFilesPerBox: 1 });
    const done = [
      syncer.add([{ gfid: gfid(1), logErrors: true }]),
      syncer.add([{ gfid: gfid(2), logErrors: false }]),
      syncer.add([gfid(3)]),
    ];
    await tick();
    expect(engine.calls.map(({ options }) => options.logErrors)).toEqual([true, false, false]);
    for (const call of engine.calls) call.finish();
    await Promise.all(done);
    await stop();
  });

  test('rejects queued items at once when stopped, and lets running transfers finish', async () => {
    const { engine, syncer, stop } = setUp({ jobs: 1, maxFilesPerBox: 1 });
    const taken = syncer.add([gfid(0)]);
    const queued = syncer.add([gfid(1)]);
    await tick();
    const stopping = stop();
    await expect(queued).rejects.toMatchObject({ code: 'stopped' });
    engine.calls[0]!.finish();
    expect((await taken).get(gfid(0))).toEqual({ status: 'synced' });
    await stopping;
    await expect(syncer.add([gfid(2)])).rejects.toMatchObject({ code: 'stopped' });
    expect(engine.calls).toHaveLength(1);
  });

  test('ends transfers after stopGraceMs when stopped, and rejects their items', async () => {
    const { syncer, stop } = setUp({ stopGraceMs: 20 });
    const taken = syncer.add([gfid(0)]);
    await tick();
    await Promise.all([stop(), expect(taken).rejects.toMatchObject({ code: 'stopped' })]);
  });

  test('logs each box as stock does', async () => {
    const { engine, lines, syncer, stop } = setUp();
    const done = syncer.add(gfids(2));
    await tick();
    for (const call of engine.open) call.finish();
    await done;
    expect(lines[0]).toEqual([
      'Sync Time Taken',
      { job: 1, num_files: 1, return_code: 0, duration: expect.stringMatching(/^\d+\.\d{4}$/) as string },
    ]);
    await stop();
  });

  test('returns an empty result for an empty add()', async () => {
    const { syncer, stop } = setUp();
    expect((await syncer.add([])).size).toBe(0);
    await stop();
  });
});

type Step =
  | { kind: 'add'; ids: number[] }
  | { kind: 'finish'; which: number; how: 'ok' | 'partial' | 'throw' }
  | { kind: 'tick' };

test('Syncer returns every result, never sends a gfid twice at a time and keeps all jobs busy, for random steps', async () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), ids: fc.array(fc.nat(30), { maxLength: 12 }) }),
    fc.record({
      kind: fc.constant('finish' as const),
      which: fc.nat(5),
      how: fc.constantFrom('ok' as const, 'partial' as const, 'throw' as const),
    }),
    fc.constant({ kind: 'tick' as const }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 5 }),
      fc.boolean(),
      async (steps, jobs, cap, stopEarly) => {
        const { engine, syncer, stop } = setUp({ jobs, maxFilesPerBox: cap });
        const adds: { ids: Set<Gfid>; callsBefore: number; done: Promise<unknown> }[] = [];
        const finish = (call: Call, how: 'ok' | 'partial' | 'throw'): void => {
          if (how === 'throw') call.finish(new Error('engine broke'));
          else if (how === 'ok') call.finish();
          else
            call.finish({
              returnCode: 23,
              synced: new Set(call.gfids.slice(1)),
              failed: new Map([[call.gfids[0]!, 'denied']]),
            });
        };
        const check = (): void => {
          const flying = [...engine.open].flatMap((call) => call.gfids);
          expect(new Set(flying).size).toBe(flying.length);
          expect(engine.open.size).toBeLessThanOrEqual(jobs);
          for (const call of engine.open) expect(call.gfids.length).toBeLessThanOrEqual(cap);
        };
        for (const one of steps) {
          if (one.kind === 'add') {
            const ids = new Set(one.ids.map(gfid));
            adds.push({
              ids,
              callsBefore: engine.calls.length,
              done: syncer.add(one.ids.map(gfid)).then(
                (results) => results,
                (error: unknown) => error,
              ),
            });
          } else if (one.kind === 'finish') {
            const call = [...engine.open][one.which];
            if (call) finish(call, one.how);
          } else {
            await tick();
            await tick();
            const flying = [...engine.open].reduce((sum, call) => sum + call.gfids.length, 0);
            if (engine.open.size < jobs && syncer.size > flying) {
              // A job may idle only when all waiting items wait for a transfer of the same gfid.
              const inFlight = new Set([...engine.open].flatMap((call) => call.gfids));
              expect(syncer.size - flying).toBeLessThanOrEqual(inFlight.size);
            }
          }
          check();
        }
        const stopping = stopEarly ? stop() : undefined;
        while (engine.open.size > 0 || (!stopEarly && syncer.size > 0)) {
          for (const call of [...engine.open]) finish(call, 'ok');
          await tick();
          check();
        }
        await (stopping ?? stop());
        for (const add of adds) {
          const result = await add.done;
          if (result instanceof Map) {
            expect(new Set(result.keys())).toEqual(add.ids);
            const later = new Set(engine.calls.slice(add.callsBefore).flatMap((call) => call.gfids));
            for (const id of add.ids) expect(later.has(id)).toBe(true);
          } else expect([stopEarly, result]).toEqual([true, expect.objectContaining({ code: 'stopped' })]);
        }
        expect(syncer.size).toBe(0);
      },
    ),
    { numRuns: 150 },
  );
});
