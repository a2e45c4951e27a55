// A pair of model volumes with a worker between them: the real planning, conflict resolution, batches and crawls,
// between a model brick and a model of the stock secondary. A worker can be killed at any of the steps it takes on
// either side, and changes can be made on the primary between any two of them.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OptionName } from '../../../src/config/options.js';
import { gfidPath } from '../../../src/protocol/gfid.js';
import type { Xtime } from '../../../src/gluster/xtime.js';
import { makeCrawlers } from '../../../src/primary/build.js';
import { catchUp, type Crawlers } from '../../../src/worker/catch-up.js';
import type { PrimaryDeps } from '../../../src/primary/deps.js';
import { FailureList } from '../../../src/status/failures.js';
import { Random } from '../../gluster/lab/random.js';
import { ModelAgent } from './agent.js';
import { Changer, type Change } from './changes.js';
import { ModelTransfer } from './data.js';
import { modelDeps, nowS } from './deps.js';
import { passTime } from './fast-timers.js';
import { ChangelogWriter } from './changelog.js';
import { ModelBrick, ModelMount } from './primary-side.js';
import { StockSecondary } from './stock-secondary.js';
import { ModelVolume } from './volume.js';

export interface PairOptions {
  /** Decides how concurrent calls interleave. */
  readonly seed: number;
  /** Subvolumes that the secondary believes the primary to have. */
  readonly distCount?: number;
  readonly config?: Partial<Record<OptionName, string>>;
}

export interface RunOptions {
  /** Steps after which the worker is killed. */
  readonly killAfter?: number;
  /** Changes that are made while the worker runs, one each `changeEvery` steps. */
  readonly during?: readonly Change[];
  readonly changeEvery?: number;
}

const MAX_MICROTASKS = 4;
const ROLLOVER_MS = 3_000;
const MAX_STEPS = 20_000;
/** Log lines with which a passive worker ends a heal window. */
export const HEALED = 'peer brick healed';
export const NEVER_HEALED = 'peer brick still healing';

class Killed extends Error {}

export class ModelPair {
  readonly primary: ModelVolume;
  readonly changelog: ChangelogWriter;
  readonly secondaryVolume: ModelVolume;
  readonly secondary: StockSecondary;
  readonly mount: ModelMount;
  readonly brick: ModelBrick;
  readonly changer: Changer;
  readonly logLines: string[] = [];
  readonly #directory = mkdtempSync(join(tmpdir(), 'gsyncd-model-'));
  readonly #random: Random;
  readonly #options: PairOptions;
  #micros = 0;
  #run: RunOptions = {};
  #steps = 0;
  #changesMade = 0;
  #failures: FailureList | undefined;

  constructor(options: PairOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.primary = new ModelVolume(nowS);
    this.changelog = new ChangelogWriter(this.primary, () => this.#tick());
    this.secondaryVolume = new ModelVolume(nowS);
    const turn = (): Promise<void> => this.#turn();
    this.secondary = new StockSecondary(this.secondaryVolume, { distCount: options.distCount ?? 1, turn });
    this.mount = new ModelMount(this.primary, this.changelog, turn);
    this.brick = new ModelBrick(this.primary, this.changelog, turn);
    this.changer = new Changer(this.primary, 0x10, () => this.rollover());
  }

  /** Steps of the last run. */
  get steps(): number {
    return this.#steps;
  }

  get failures(): FailureList {
    if (this.#failures === undefined) throw new Error('model pair: no run yet');
    return this.#failures;
  }

  change(...changes: readonly Change[]): void {
    for (const change of changes) this.changer.make(change);
  }

  rollover(): void {
    passTime(ROLLOVER_MS);
    this.changelog.rollover(nowS());
  }

  /** Fills the secondary with other content. */
  fillSecondary(changes: readonly Change[]): void {
    const changer = new Changer(this.secondaryVolume, 0x100000);
    for (const change of changes) changer.make(change);
  }

  /** One worker, from its start until it has consumed all changelogs that are closed then, or is killed. */
  async run(options: RunOptions = {}): Promise<'done' | 'killed'> {
    this.#run = options;
    this.#steps = 0;
    this.#changesMade = 0;
    this.logLines.length = 0;
    const agent = this.#agent();
    this.#failures = await FailureList.load(this.#directory);
    const deps = this.#deps(agent, this.#failures);
    const crawlers = makeCrawlers(deps);
    try {
      await this.#crawl(agent, deps, crawlers);
      return 'done';
    } catch (error) {
      await crawlers.live.pipeline.drain().catch(() => undefined);
      if (this.#dead) return 'killed';
      throw error;
    } finally {
      this.#run = {};
      agent.close();
    }
  }

  /** Runs workers that are each killed after the next number of `kills`, and a last one that is not. */
  async runKilled(kills: readonly number[], options: RunOptions = {}): Promise<void> {
    for (const killAfter of kills) if ((await this.run({ ...options, killAfter })) === 'done') break;
    await this.run(options);
  }

  /** Runs a passive worker while changes are made and for `ms` more, with `ahead` on a brick that is ahead of another; then
   *  until it has logged `until`, with the heal ended or not. */
  async runPassive(
    changes: readonly Change[],
    { ahead, ms, until }: { ahead: boolean; ms: number; until?: string },
  ): Promise<void> {
    const agent = this.#agent();
    this.#failures = await FailureList.load(this.#directory);
    const deps = this.#deps(agent, this.#failures);
    const stop = new AbortController();
    this.mount.elected = 'other';
    this.brick.ahead = ahead;
    await agent.register();
    const passive = makeCrawlers(deps).live.crawlwrap(stop.signal);
    const pass = (time: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, time));
    try {
      await pass(ROLLOVER_MS);
      this.change(...changes);
      this.rollover();
      await pass(ms);
      if (until !== NEVER_HEALED) this.brick.ahead = false;
      this.mount.clusterMark = [nowS(), 0];
      // The clock jumps past a worker that waits for a real file: as many steps as it takes.
      for (
        let steps = 0;
        until !== undefined && steps < MAX_STEPS && !this.logLines.some((line) => line.startsWith(until));
        steps++
      )
        await pass(5_000);
    } finally {
      stop.abort();
      await passive;
      this.brick.ahead = false;
      this.mount.elected = 'this';
      this.mount.clusterMark = null;
      agent.close();
    }
  }

  dispose(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #crawl(agent: ModelAgent, deps: PrimaryDeps, crawlers: Crawlers): Promise<void> {
    const { signal } = new AbortController();
    await catchUp(deps, crawlers, await agent.register(), signal);
    for (;;) {
      this.#makeChanges(Number.POSITIVE_INFINITY);
      this.rollover();
      await crawlers.live.crawlwrap(signal, { oneshot: true });
      if ((await agent.scan()) === 0) return;
    }
  }

  /** Makes the changes of this run up to the given number. */
  #makeChanges(due: number): void {
    const { during = [] } = this.#run;
    for (; this.#changesMade < Math.min(due, during.length); this.#changesMade++)
      this.change(during[this.#changesMade] as Change);
  }

  get #dead(): boolean {
    return this.#run.killAfter !== undefined && this.#steps > this.#run.killAfter;
  }

  #tick(): Xtime {
    this.#micros += 1;
    return [nowS(), this.#micros];
  }

  async #turn(): Promise<void> {
    for (let i = this.#random.int(MAX_MICROTASKS); i > 0; i--) await Promise.resolve();
    this.#steps += 1;
    if (this.#dead) throw new Killed('model pair: worker: killed');
    this.#makeChanges(Math.floor(this.#steps / (this.#run.changeEvery ?? 10)));
  }

  #agent(): ModelAgent {
    return new ModelAgent(this.changelog, {
      directory: this.#directory,
      nowS,
      changelogsPerScan: 1 + this.#random.int(4),
    });
  }

  #deps(agent: ModelAgent, failures: FailureList): PrimaryDeps {
    return modelDeps({
      volume: this.mount,
      brick: this.brick,
      secondary: this.secondary,
      agent,
      failures,
      workingDir: this.#directory,
      transfer: new ModelTransfer(this.primary, this.secondaryVolume, () => this.#turn()),
      onLog: (line) => void this.logLines.push(line),
      canRecreateRenamed: (this.#options.distCount ?? 1) > 1,
      ...(this.#options.config === undefined ? {} : { config: this.#options.config }),
    });
  }
}

/** Whether a name is on the failure list. */
export function isListed(failures: FailureList, path: string): boolean {
  return failures
    .items()
    .some(({ kind, gfid, entry }) => (kind === 'entry' ? entry === path : gfidPath(gfid) === path));
}
