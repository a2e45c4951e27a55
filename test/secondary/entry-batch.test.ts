// applyEntries() on a model volume, against the stock secondary with random conflicts, and its lanes against sequential
// execution.

import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { entryPath, ROOT_GFID, type Gfid } from '../../src/protocol/gfid.js';
import { fileKind, S_IFREG } from '../../src/protocol/view.js';
import { RemoteCallError } from '../../src/rpc/errors.js';
import type { PyTuple, PyValue } from '../../src/rpc/pickle-values.js';
import { applyEntries } from '../../src/secondary/entry-batch.js';
import type { EntryFailure, EntryOp } from '../../src/protocol/secondary.js';
import { StockSecondary } from '../primary/model/stock-secondary.js';
import { listing } from '../primary/model/tree.js';
import { FsError, ModelVolume } from '../primary/model/volume.js';
import { conflicts, histories } from './histories.js';
import { ModelSecondaryVolume } from './model-secondary-volume.js';
import { fc } from '../seeds.js';

const RUNS = { numRuns: 200 };
const LOG = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

interface Told {
  readonly entry: unknown;
  readonly errno: unknown;
  readonly info: Record<string, unknown>;
}

class Ours {
  readonly model = new ModelVolume(() => 1);
  readonly #seed: number;
  readonly #distributionCount: number;

  constructor(seed: number, distributionCount = 1) {
    this.#seed = seed;
    this.#distributionCount = distributionCount;
  }

  async apply(ops: readonly EntryOp[]): Promise<Told[]> {
    const options = {
      volume: new ModelSecondaryVolume(this.model, this.#seed),
      distributionCount: this.#distributionCount,
      log: LOG,
      signal: new AbortController().signal,
    };
    const failures = (await applyEntries(options, ops as unknown as PyValue)) as unknown as PyTuple[];
    return failures.map((told): Told => ({ entry: told[0], errno: told[1], info: told[2] as Record<string, unknown> }));
  }

  get tree(): Map<string, string> {
    return sorted(this.model);
  }
}

function sorted(model: ModelVolume): Map<string, string> {
  return new Map([...listing(model)].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function toldByStock({ op, errno, info }: EntryFailure): Told {
  const place = info.nameMismatch ? 'entry' : 'name';
  const theirs = { isdir: info.secondaryIsDir, gfid: info.secondaryGfid, [place]: info.secondaryEntry };
  const spelt = Object.entries(theirs).flatMap(([key, value]): [string, unknown][] => [
    [`secondary_${key}`, value],
    [`slave_${key}`, value],
  ]);
  return {
    entry: op,
    errno,
    info: {
      gfid_mismatch: info.gfidMismatch,
      name_mismatch: info.nameMismatch,
      dst: info.dst,
      ...(Object.fromEntries(spelt) as Record<string, unknown>),
    },
  };
}

describe('applyEntries()', () => {
  test('has the effects and failures of the stock secondary, for random conflicts', async () => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(
        conflicts,
        fc.integer({ min: 1, max: 2 }),
        fc.nat(),
        async ({ before, ops }, distCount, seed) => {
          const ours = new Ours(seed, distCount);
          const stock = new StockSecondary(new ModelVolume(() => 1), { distCount, turn: () => Promise.resolve() });
          for (const op of [...before, ...ops]) {
            // The stock secondary ignores links of special files.
            if (op.op === 'LINK' && ['special', 'device'].includes(fileKind(op.stat?.mode ?? 0))) continue;
            let theirs: EntryFailure[];
            try {
              theirs = await stock.entryOps([op]);
            } catch (error) {
              if (!(error instanceof RemoteCallError)) throw error;
              // When the stock secondary raises, ours returns a failure or succeeds. The trees differ from then on.
              await ours.apply([op]);
              return;
            }
            const told = await ours.apply([op]);
            // The stock secondary checks the old name instead of the new one for a conflict.
            if (op.op === 'RENAME' && told[0]?.info['dst'] === true && theirs[0]?.info.dst !== true) continue;
            expect(told).toEqual(theirs.map(toldByStock));
            compared += 1;
          }
          expect(ours.tree).toEqual(sorted(stock.volume));
        },
      ),
      RUNS,
    );
    expect(compared).toBeGreaterThan(RUNS.numRuns * 5);
  });

  test('fails only the operation with EDQUOT and does the others; ENOSPC ends the call', async () => {
    const gfid = (n: number): Gfid => `0000000${n}-0000-4000-8000-000000000000` as Gfid;
    const op = (n: number): EntryOp => ({
      op: 'MKNOD',
      gfid: gfid(n),
      entry: entryPath(ROOT_GFID, `file ${n}`),
      mode: S_IFREG | 0o644,
      uid: 0,
      gid: 0,
    });
    const ours = new Ours(1);
    const create = ours.model.create.bind(ours.model);
    let code: 'EDQUOT' | 'ENOSPC' = 'EDQUOT';
    ours.model.create = (path, ...rest) => {
      if (path.endsWith('file 2')) throw new FsError(code, path);
      return create(path, ...rest);
    };
    expect(await ours.apply([op(1), op(2), op(3)])).toMatchObject([{ errno: constants.errno.EDQUOT }]);
    expect([...ours.tree.keys()].filter((path) => path.includes('file'))).toHaveLength(2);
    code = 'ENOSPC';
    await expect(ours.apply([op(2)])).rejects.toMatchObject({ code: 'ENOSPC' });
  });

  test('produces the tree and the failures of sequential execution, for any order of the lanes', async () => {
    await fc.assert(
      fc.asyncProperty(histories, fc.nat(), async (ops, seed) => {
        const [atOnce, inTurn] = [new Ours(seed), new Ours(0)];
        const failures = await atOnce.apply(ops);
        const expected: Told[] = [];
        for (const op of ops) expected.push(...(await inTurn.apply([op])));
        expect(failures).toEqual(expected);
        expect(atOnce.tree).toEqual(inTurn.tree);
      }),
      RUNS,
    );
  });

  test('returns failures in the order of the operations', async () => {
    await fc.assert(
      fc.asyncProperty(conflicts, fc.nat(), async ({ before, ops }, seed) => {
        const ours = new Ours(seed);
        await ours.apply(before);
        const failures = await ours.apply(ops);
        const places = failures.map(({ entry }) => ops.indexOf(entry as EntryOp));
        expect(places).toEqual([...places].sort((a, b) => a - b));
        expect(places.every((place) => place >= 0)).toBe(true);
      }),
      RUNS,
    );
  });
});
