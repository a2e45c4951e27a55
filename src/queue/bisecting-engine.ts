// Wraps an engine so that one file's error fails only that file. A transfer can die of a file without naming it (a crash of
// the other end, a timeout). If an empty transfer works, the files are then bisected until that file is alone.

import type { Gfid } from '../protocol/gfid.js';
import type { DataEngine, EngineOutcome, SyncOptions } from './engine.js';
import type { SyncLog } from './syncer.js';

/** Limit per box: it suffices for four or five such files in a thousand, and the next try finds more. */
const MAX_TRANSFERS = 100;
/** An error that is not about one file. */
const DISK_FULL = /No space left on device/;

/** @returns an engine whose outcome is `broken` only if no transfer works, or too many transfers broke */
export function bisectingEngine(engine: DataEngine, log?: SyncLog): DataEngine {
  return {
    name: engine.name,
    sync: async (gfids, options) => {
      const outcome = await engine.sync(gfids, options);
      if (
        suspectsOf(gfids, outcome).length === 0 ||
        DISK_FULL.test(outcome.broken ?? '') ||
        !(await canTransfer(engine, options))
      )
        return outcome;
      if (gfids.length > 1)
        log?.info('transfer failed: retrying its files in smaller groups', {
          num_files: gfids.length,
          reason: outcome.broken,
        });
      return new Bisection(engine, options).run(gfids, outcome);
    },
  };
}

/** Files that failed together with the whole transfer. */
function suspectsOf(gfids: readonly Gfid[], { broken, failed }: EngineOutcome): Gfid[] {
  return broken === undefined ? [] : gfids.filter((gfid) => failed.get(gfid) === broken);
}

async function canTransfer(engine: DataEngine, options: SyncOptions): Promise<boolean> {
  return (await engine.sync([], options)).broken === undefined;
}

class Bisection {
  readonly #engine: DataEngine;
  readonly #options: SyncOptions;
  readonly #synced = new Set<Gfid>();
  readonly #failed = new Map<Gfid, string>();
  #bytes = 0;
  #transfers = 0;
  #broken: string | undefined;

  constructor(engine: DataEngine, options: SyncOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  async run(gfids: readonly Gfid[], outcome: EngineOutcome): Promise<EngineOutcome> {
    await this.#bisect(gfids, outcome);
    return {
      returnCode: outcome.returnCode,
      synced: this.#synced,
      failed: this.#failed,
      bytes: this.#bytes,
      broken: this.#broken,
    };
  }

  async #bisect(gfids: readonly Gfid[], outcome: EngineOutcome): Promise<void> {
    for (const gfid of outcome.synced) {
      this.#synced.add(gfid);
      this.#failed.delete(gfid);
    }
    for (const [gfid, reason] of outcome.failed) this.#failed.set(gfid, reason);
    this.#bytes += outcome.bytes ?? 0;
    const { broken } = outcome;
    const suspects = suspectsOf(gfids, outcome);
    if (broken === undefined || suspects.length === 0) return;
    if (gfids.length === 1) {
      // The file is the cause only if the connection still works.
      if (!(await canTransfer(this.#engine, this.#options))) this.#broken = broken;
      return;
    }
    const middle = suspects.length >> 1;
    for (const part of [suspects.slice(0, middle), suspects.slice(middle)]) {
      if (part.length === 0) continue;
      this.#transfers += 1;
      if (this.#transfers > MAX_TRANSFERS) this.#broken ??= broken;
      if (this.#broken !== undefined) for (const gfid of part) this.#failed.set(gfid, this.#broken);
      else await this.#bisect(part, await this.#engine.sync(part, this.#options));
    }
  }
}
