// The common part of Lab and Cluster: a primary and a secondary volume, gv0 and sv0, mounted in a box for the test to
// change and to compare, a geo-replication session between them, and the workers that a test started by hand.
import path from 'node:path';
import type { Box } from './box.js';
import type { ExecOptions, ExecResult, Machine } from './machine.js';
import { REPO } from './machine.js';
import { compareTrees, describeComparison } from './tree.js';
import type { CompareOptions, TreeComparison } from './tree.js';
import { until } from './wait.js';
import { WorkerHandle } from './worker.js';
import type { Operation } from './workload.js';

/** Where the volumes are mounted in the box, and where the logs are. */
export const PATHS = {
  primary: '/mnt/gv0',
  secondary: '/mnt/sv0',
  /** A mount of the secondary volume that may write although the volume is read-only. */
  secondaryWritable: '/mnt/sv0-rw',
  meta: '/run/gluster/shared_storage',
} as const;

export interface WorkerOptions {
  /** Number of the brick, from 0. Default 0. */
  readonly brick?: number;
  /** Further arguments of the worker. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Instead of the session's volumes. */
  readonly pair?: readonly [string, string];
  /** Instead of the brick's path. */
  readonly localPath?: string;
}

/** A brick and the machine that has it. */
export interface BrickPlace {
  readonly machine: Machine;
  /** Address of the machine. */
  readonly host: string;
  readonly path: string;
}

export abstract class Pair {
  readonly box: Box;
  readonly primary = PATHS.primary;
  readonly secondary = PATHS.secondary;
  protected readonly workers: WorkerHandle[] = [];
  /** Leftovers to ignore. */
  readonly #excused = new Set<string>();
  #logs = 0;

  protected constructor(box: Box) {
    this.box = box;
  }

  /** Where commands about the primary volume and its session are given. */
  protected abstract readonly admin: Machine;
  /** `[USER@]HOST` of the session. */
  protected abstract readonly remote: string;
  /** Bricks of the primary volume. */
  abstract readonly places: readonly BrickPlace[];
  /** Machines on which no secondary but this project's ever served, and that never lost power. The stock one's mount may outlast it. */
  protected abstract readonly ownSecondaries: readonly Machine[];
  /** Whether the secondary has each file on several bricks. A lookup of a name at the moment of its creation may leave its copies
   *  different for good, so comparisons are few there. */
  protected abstract readonly isReplicated: boolean;
  /** Whether a mount that wrote shows other times than the bricks: the shard translator keeps the times of its writes, and no
   *  touch changes them. Other mounts show the bricks' times. */
  protected readonly writerKeepsTimes: boolean = false;
  /** An address that serves the volume now. */
  protected abstract serverOf(volume: string): string;

  /** The session's directory on each primary node. */
  get sessionDir(): string {
    return `/var/lib/glusterd/geo-replication/gv0_${this.remote.split('@').pop()}_sv0`;
  }

  /** The log of the session's monitor and of stock workers, on each primary node. */
  get sessionLog(): string {
    return `/var/log/glusterfs/geo-replication/gv0_${this.remote.split('@').pop()}_sv0/gsyncd.log`;
  }

  exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult> {
    return this.box.exec(argv, options);
  }

  /** Runs a bash script in the primary's root (or in `cwd`); any failing command fails it. Returns its output. */
  sh(script: string, cwd: string = PATHS.primary): Promise<string> {
    return this.box.sh(script, cwd);
  }

  gluster(args: readonly string[], onFailure: 'throw' | 'return' = 'throw'): Promise<ExecResult> {
    return this.admin.exec(['gluster', '--mode=script', ...args], { onFailure, timeoutMs: 130_000 });
  }

  /** `gluster volume geo-replication` on the session. */
  session(args: readonly string[], onFailure: 'throw' | 'return' = 'throw'): Promise<ExecResult> {
    return this.gluster(['volume', 'geo-replication', 'gv0', `${this.remote}::sv0`, ...args], onFailure);
  }

  async setConfig(config: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, value] of Object.entries(config)) await this.session(['config', name, value]);
  }

  /** Takes an option of the session back to its default. */
  async resetConfig(name: string): Promise<void> {
    await this.session(['config', `!${name}`]);
  }

  /** A file of the box as text. */
  read(inside: string): Promise<string> {
    return this.box.read(inside);
  }

  /** Mounts a volume on a machine, the box by default, and waits until the mount answers. */
  async mount(volume: string, at: string, args: readonly string[] = [], on: Machine = this.box): Promise<void> {
    await on.exec(['mkdir', '-p', at]);
    await on.exec([
      'glusterfs',
      ...args,
      '--fopen-keep-cache=no',
      '-s',
      this.serverOf(volume),
      '--volfile-id',
      volume,
      at,
    ]);
    await this.until(`mount of ${volume}`, async () => {
      const look = await on.exec(['stat', '-f', '-c', '%T', at], { onFailure: 'return' });
      return look.stdout.includes('fuse');
    });
  }

  /** Mounts the secondary at PATHS.secondaryWritable as the clients that its read-only state lets write. */
  async mountSecondaryWritable(): Promise<void> {
    await this.mount('sv0', PATHS.secondaryWritable, ['--acl', '--client-pid=-1']);
  }

  /** Applies operations to the primary, spread over `paceMs`; returns how many were applied. */
  async apply(ops: readonly Operation[], options: { paceMs?: number; under?: string } = {}): Promise<number> {
    const root = path.posix.join(PATHS.primary, options.under ?? '');
    const argv = [
      'python3',
      path.join(import.meta.dirname, 'apply.py'),
      root,
      '--pace',
      String((options.paceMs ?? 0) / 1000),
    ];
    const input = ops.map((op) => JSON.stringify(op)).join('\n');
    const result = await this.exec(argv, { input, timeoutMs: (options.paceMs ?? 0) + 300_000 });
    return (JSON.parse(result.stdout) as { applied: number }).applied;
  }

  /** Starts this project's worker by hand, as an admin would. */
  startWorker(options: WorkerOptions = {}): WorkerHandle {
    const log = `/var/log/glusterfs/worker-${++this.#logs}.log`;
    const [primary, secondary] = options.pair ?? [
      'gv0',
      `${this.remote.includes('@') ? '' : 'root@'}${this.remote}::sv0`,
    ];
    const { machine, path: brick } = this.place(options.brick ?? 0);
    const argv = [
      process.execPath,
      path.join(REPO, 'bin/gsyncd-ts.js'),
      'worker',
      primary,
      secondary,
      '--local-path',
      options.localPath ?? brick,
      '--log-file',
      log,
      ...(options.args ?? []),
    ];
    const worker = new WorkerHandle(machine.start(argv, options.env), machine.outside(log));
    this.workers.push(worker);
    return worker;
  }

  protected place(brick: number): BrickPlace {
    const place = this.places[brick];
    if (place === undefined) throw new Error(`lab: no brick ${brick}`);
    return place;
  }

  /** Compares primary and secondary once. */
  compare(options: CompareOptions = {}): Promise<TreeComparison> {
    const fresh = [
      `${PATHS.secondary}:${this.serverOf('sv0')}:sv0`,
      ...(this.writerKeepsTimes ? [`${PATHS.primary}:${this.serverOf('gv0')}:gv0`] : []),
    ];
    return compareTrees(this.box, PATHS.primary, PATHS.secondary, {
      fresh,
      ...(this.isReplicated && { pollMs: 3_000 }),
      ...options,
    });
  }

  /**
   * Waits until primary and secondary are equal. Throws with the differences and the workers' logs when they are not
   * in time, and as soon as a worker that runs now has ended.
   */
  async waitConverged(
    timeoutMs = 60_000,
    options: Omit<CompareOptions, 'waitMs' | 'signal'> = {},
  ): Promise<TreeComparison> {
    const died = new AbortController();
    const running = this.workers.filter((worker) => worker.running);
    for (const worker of running) {
      void worker.exited.then((exit) => died.abort(new Error(`lab: worker ended: ${JSON.stringify(exit)}`)));
    }
    let why: string;
    try {
      const found = await this.compare({ ...options, waitMs: timeoutMs, signal: died.signal });
      if (found.equal) return found;
      why = describeComparison(found);
    } catch (error) {
      why = String(error);
    }
    const logs =
      running.length === 0
        ? await this.#sessionLogs()
        : await Promise.all(running.map(async (w) => `${w.stderr.slice(-2000)}\n${(await w.log()).slice(-4000)}`));
    throw new Error([why, ...logs].join('\n--- worker\n'));
  }

  /** The ends of what a session that glusterd started logged, on each node. */
  #sessionLogs(): Promise<string[]> {
    const machines = [...new Set(this.places.map(({ machine }) => machine))].filter(({ up }) => up);
    return Promise.all(
      machines.map(async (machine) => (await machine.read(this.sessionLog).catch(() => '')).slice(-4000)),
    );
  }

  /** The status file of a brick's worker. */
  async status(brick = 0): Promise<Readonly<Record<string, unknown>>> {
    const { machine, path: at } = this.place(brick);
    const text = await machine.read(`${this.sessionDir}/brick_${encodeURIComponent(at)}.status`);
    return JSON.parse(text) as Record<string, unknown>;
  }

  /** Waits until the worker of a brick says that it is in `state`. */
  untilState(brick: number, state: string, timeoutMs = 60_000): Promise<void> {
    return this.untilStatus(brick, 'worker_status', state, timeoutMs);
  }

  /** Waits until a field of a brick's status file has `value`. */
  async untilStatus(brick: number, field: string, value: string, timeoutMs = 60_000): Promise<void> {
    await this.until(
      `brick ${brick} ${value}`,
      async () => (await this.status(brick).catch(() => undefined))?.[field] === value,
      timeoutMs,
    );
  }

  /** The session's `status detail` as GlusterFS prints it. */
  async statusDetail(): Promise<string> {
    return (await this.session(['status', 'detail'])).stdout;
  }

  /** Throws when a worker's mount, its process or its mount point is still there after `timeoutMs`. */
  async assertNoMountsLeft(timeoutMs = 10_000): Promise<void> {
    let left: readonly string[] = [];
    const clean = async (): Promise<boolean> => {
      left = (await this.#left()).filter((what) => !this.#excused.has(what));
      return left.length === 0;
    };
    await this.until('no mount left', clean, timeoutMs).catch((cause: unknown) => {
      throw new Error(`lab: left behind:\n${left.join('\n')}`, { cause });
    });
  }

  /** Ignores current leftovers from now on: a stock worker that is killed during its start leaves its mount. */
  async excuseMountsLeft(): Promise<void> {
    for (const what of await this.#left()) this.#excused.add(what);
  }

  async #left(): Promise<readonly string[]> {
    const machines = new Set(
      [...this.places.map(({ machine }) => machine), ...this.ownSecondaries].filter(({ up }) => up),
    );
    return (await Promise.all([...machines].map(leftovers))).flat();
  }

  /** Waits until `test` is true. Throws naming `what` after `timeoutMs`. */
  until(what: string, test: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
    return until(what, test, timeoutMs);
  }

  /** Ends the box and everything in it; after a failure its logs are kept. */
  async close(outcome: 'passed' | 'failed' = 'passed'): Promise<void> {
    await this.box.close(outcome);
  }
}

/** Mounts, clients and mount points that a worker left on a machine. */
async function leftovers(machine: Machine): Promise<string[]> {
  const mounts = (await machine.read('/proc/1/mounts')).split('\n').filter((line) => {
    return line.includes('fuse.glusterfs') && !/ (\/mnt\/|\/run\/gluster\/shared_storage )/.test(line);
  });
  const clients = [...(await machine.processes()).values()].filter((line) => {
    return /^\S*glusterfs .*(--aux-gfid-mount|aux-gfid-mount)/.test(line);
  });
  // The stock daemon's are in /tmp.
  const points = (
    await machine.exec([
      'bash',
      '-c',
      'shopt -s nullglob; printf "%s\\n" /tmp/*aux-mount* /run/gluster/gsyncd-mounts/*aux-mount*',
    ])
  ).stdout;
  return [...mounts, ...clients, ...points.split('\n').filter(Boolean)];
}
