// Two real volumes and a geo-replication session in a box: gv0 replicates to sv0 over ssh, on one machine. Tests start
// workers on it (this project's or the stock daemon), change the primary and wait for the trees to be equal.
// Whatever a test leaves behind ends with the lab.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Box, REPO } from './box.js';
import type { ExecOptions, ExecResult } from './box.js';
import { compareTrees, describeComparison } from './tree.js';
import type { CompareOptions, TreeComparison } from './tree.js';
import { WorkerHandle } from './worker.js';
import type { Operation } from './workload.js';

export const HOST = '10.77.0.1';

/** LAB_WORKER=stock runs every scenario with the stock worker instead, to tell the lab's faults from the worker's. */
const STOCK_INSTEAD = process.env['LAB_WORKER'] === 'stock';

export interface LabOptions {
  /** Bricks of each volume. Default 1. */
  readonly bricks?: number;
  /** 'distribute' (default) or what of the bricks make one set. */
  readonly layout?: 'distribute' | 'replica' | 'disperse';
  /** Seconds after which the primary's journal is closed. Default 3. */
  readonly rolloverSeconds?: number;
  /** Options of the session, set before anything starts. */
  readonly config?: Readonly<Record<string, string>>;
  /** 'shared' mounts a third volume where the workers of a session elect the active one with a lock. Default 'none'. */
  readonly metaVolume?: 'none' | 'shared';
  /** 'real' (default) makes the session with its keys; 'none' stops after the volumes. */
  readonly session?: 'real' | 'none';
}

export interface WorkerOptions {
  /** Number of the brick, from 0. Default 0. */
  readonly brick?: number;
  /** Further arguments of the worker. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Instead of `gv0 root@10.77.0.1::sv0`. */
  readonly pair?: readonly [string, string];
  /** Instead of the brick's path. */
  readonly localPath?: string;
}

/** Where the session, the volumes and the logs are, inside the box. */
export const PATHS = {
  primary: '/mnt/gv0',
  secondary: '/mnt/sv0',
  /** A mount of the secondary volume that may write although the volume is read-only. */
  secondaryWritable: '/mnt/sv0-rw',
  session: `/var/lib/glusterd/geo-replication/gv0_${HOST}_sv0`,
  stockLog: `/var/log/glusterfs/geo-replication/gv0_${HOST}_sv0/gsyncd.log`,
  meta: '/run/gluster/shared_storage',
} as const;

export class Lab {
  readonly box: Box;
  readonly primary = PATHS.primary;
  readonly secondary = PATHS.secondary;
  /** Paths of the primary's bricks. */
  readonly bricks: readonly string[];
  readonly #workers: WorkerHandle[] = [];
  #logs = 0;
  #nodeId = '';
  #secondaryId = '';

  private constructor(box: Box, bricks: readonly string[]) {
    this.box = box;
    this.bricks = bricks;
  }

  /** Brings the volumes up and mounts them. Takes about 8 s. */
  static async start(options: LabOptions = {}): Promise<Lab> {
    const box = await Box.open();
    const count = options.bricks ?? 1;
    const lab = new Lab(box, Array.from({ length: count }, (_, i) => `/srv/gv0_${i + 1}`));
    try {
      await lab.#bringUp(options, count);
      return lab;
    } catch (error) {
      await box.close('failed');
      throw error;
    }
  }

  async #bringUp(options: LabOptions, count: number): Promise<void> {
    await this.exec(['glusterd']);
    await this.until('glusterd', async () => (await this.gluster(['pool', 'list'], 'return')).code === 0);
    const layout = options.layout === undefined || options.layout === 'distribute' ? [] : [options.layout, String(count)];
    for (const volume of ['gv0', 'sv0']) {
      const bricks = Array.from({ length: count }, (_, i) => `${HOST}:/srv/${volume}_${i + 1}`);
      await this.gluster(['volume', 'create', volume, ...layout, ...bricks, 'force']);
      await this.gluster(['volume', 'start', volume]);
    }
    await this.mount('gv0', PATHS.primary, ['--acl']);
    await this.mount('sv0', PATHS.secondary, ['--acl']);
    if (options.session !== 'none') await this.#createSession();
    await this.gluster(['volume', 'set', 'gv0', 'changelog.rollover-time', String(options.rolloverSeconds ?? 3)]);
    if (options.metaVolume === 'shared') {
      await this.gluster(['volume', 'create', 'meta', `${HOST}:/srv/meta_1`, 'force']);
      await this.gluster(['volume', 'start', 'meta']);
      await this.mount('meta', PATHS.meta);
      await this.setConfig({ 'use-meta-volume': 'true', 'meta-volume-mnt': PATHS.meta });
    }
    await this.setConfig(options.config ?? {});
    this.#nodeId = /UUID=(.*)/.exec(await this.read('/var/lib/glusterd/glusterd.info'))?.[1] ?? '';
    this.#secondaryId = /volume-id=(.*)/.exec(await this.read('/var/lib/glusterd/vols/sv0/info'))?.[1] ?? '';
    if (STOCK_INSTEAD) await this.setConfig({ 'secondary-access-mount': 'true' });
  }

  /** The keys arrive on the secondary some time after the command that sends them. */
  async #createSession(): Promise<void> {
    await this.gluster(['system::', 'execute', 'gsec_create']);
    await this.session(['create', 'push-pem']);
    await this.until('keys of the session', async () => {
      return (await this.read('/root/.ssh/authorized_keys')).includes('gsyncd');
    });
    await this.until('read-only secondary', async () => {
      return (await this.gluster(['volume', 'info', 'sv0'])).stdout.includes('features.read-only: on');
    });
  }

  exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult> {
    return this.box.exec(argv, options);
  }

  /** Runs a bash script in the primary's root (or in `cwd`); any failing command fails it. Returns its output. */
  async sh(script: string, cwd: string = PATHS.primary): Promise<string> {
    return (await this.exec(['bash', '--norc', '-euo', 'pipefail', '-c', `cd "$1"\n${script}`, 'sh', cwd], { timeoutMs: 300_000 })).stdout;
  }

  gluster(args: readonly string[], onFailure: 'throw' | 'return' = 'throw'): Promise<ExecResult> {
    return this.exec(['gluster', '--mode=script', ...args], { onFailure, timeoutMs: 130_000 });
  }

  /** `gluster volume geo-replication` on this lab's session. */
  session(args: readonly string[], onFailure: 'throw' | 'return' = 'throw'): Promise<ExecResult> {
    return this.gluster(['volume', 'geo-replication', 'gv0', `${HOST}::sv0`, ...args], onFailure);
  }

  async setConfig(config: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, value] of Object.entries(config)) await this.session(['config', name, value]);
  }

  /** Takes an option of the session back to its default. */
  async resetConfig(name: string): Promise<void> {
    await this.session(['config', `!${name}`]);
  }

  /**
   * Stands in for the session's monitor, without which GlusterFS shows every worker as created or stopped: says that
   * it was started and holds its pid file's lock until the box ends.
   */
  async pretendMonitor(): Promise<void> {
    const pidFile = `/run/gluster/gsyncd-gv0-${HOST}-sv0.pid`;
    const hold = [
      'import fcntl, sys, time', `open('${PATHS.session}/monitor.status', 'w').write('Started')`,
      `held = open('${pidFile}', 'w')`, 'fcntl.lockf(held, fcntl.LOCK_EX)', 'print("held", flush=True)', 'time.sleep(1e6)',
    ];
    const holder = this.box.start(['python3', '-c', hold.join('\n')]);
    await new Promise<void>((resolve, reject) => {
      holder.stdout?.once('data', () => resolve());
      holder.once('exit', () => reject(new Error('lab: stand-in for the monitor: ended')));
    });
  }

  /** A file of the box as text. */
  read(inside: string): Promise<string> {
    return readFile(this.box.outside(inside), 'utf8');
  }

  /** Mounts a volume and waits until the mount answers. */
  async mount(volume: string, at: string, args: readonly string[] = []): Promise<void> {
    await this.exec(['mkdir', '-p', at]);
    await this.exec(['glusterfs', ...args, '-s', HOST, '--volfile-id', volume, at]);
    await this.until(`mount of ${volume}`, async () => {
      const look = await this.exec(['stat', '-f', '-c', '%T', at], { onFailure: 'return' });
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
    const argv = ['python3', path.join(import.meta.dirname, 'apply.py'), root, '--pace', String((options.paceMs ?? 0) / 1000)];
    const input = ops.map((op) => JSON.stringify(op)).join('\n');
    const result = await this.exec(argv, { input, timeoutMs: (options.paceMs ?? 0) + 300_000 });
    return (JSON.parse(result.stdout) as { applied: number }).applied;
  }

  /** Starts this project's worker by hand, as an admin would. */
  startWorker(options: WorkerOptions = {}): WorkerHandle {
    if (STOCK_INSTEAD) return this.startStockWorker(options);
    const log = `/var/log/glusterfs/worker-${++this.#logs}.log`;
    const [primary, secondary] = options.pair ?? ['gv0', `root@${HOST}::sv0`];
    const brick = options.localPath ?? this.bricks[options.brick ?? 0];
    if (brick === undefined) throw new Error(`lab: no brick ${options.brick}`);
    const argv = [
      process.execPath, path.join(REPO, 'bin/gsyncd-ts.js'), 'worker', primary, secondary,
      '--local-path', brick, '--log-file', log, ...(options.args ?? []),
    ];
    const worker = new WorkerHandle(this.box.start(argv, options.env), this.box.outside(log));
    this.#workers.push(worker);
    return worker;
  }

  /**
   * Starts the stock worker without its monitor, with the arguments that the monitor would give. It ends with exit
   * code 1 or a signal on SIGTERM, which is how stock's ends.
   */
  startStockWorker(options: WorkerOptions = {}): WorkerHandle {
    const brick = this.bricks[options.brick ?? 0] ?? '';
    const find = 'exec 9>/dev/null; exec unshare -m --propagation private python3 /usr/lib*/*/glusterfs/python/syncdaemon/gsyncd.py worker "$@"';
    const argv = [
      'bash', '-c', find, 'sh', 'gv0', `${HOST}::sv0`, '--feedback-fd', '9', '--local-path', brick, '--local-node', HOST,
      '--local-node-id', this.#nodeId, '--secondary-id', this.#secondaryId, '--subvol-num', '1',
      '--resource-remote', HOST, '--resource-remote-id', this.#nodeId, ...(options.args ?? []),
    ];
    const worker = new WorkerHandle(this.box.start(argv, options.env), this.box.outside(PATHS.stockLog), 'stock');
    this.#workers.push(worker);
    return worker;
  }

  /** From now on the session's keys start this project's gsyncd on the secondary instead of the stock one. */
  async useOwnSecondary(): Promise<void> {
    const wrapper = (await this.exec(['bash', '-c', 'ls /usr/lib*/*/glusterfs/gsyncd /usr/libexec/glusterfs/gsyncd 2>/dev/null | head -1'])).stdout.trim();
    await this.exec(['cp', '-a', wrapper, '/srv/stock-gsyncd']);
    const script = (await readFile(path.join(import.meta.dirname, 'own-secondary.sh'), 'utf8'))
      .replaceAll('@STOCK@', '/srv/stock-gsyncd')
      .replaceAll('@NODE@', process.execPath)
      .replaceAll('@REPO@', REPO);
    await this.exec(['bash', '-c', 'cat >/srv/own-gsyncd; chmod 755 /srv/own-gsyncd; mount --bind /srv/own-gsyncd "$1"', 'sh', wrapper], { input: script });
  }

  /** Starts the stock daemon on the session. The option makes its data arrive with newer versions of rsync too. */
  async startStock(): Promise<void> {
    await this.setConfig({ 'secondary-access-mount': 'true' });
    await this.session(['start']);
  }

  async stopStock(): Promise<void> {
    await this.session(['stop', 'force']);
  }

  /** Compares primary and secondary once. */
  compare(options: CompareOptions = {}): Promise<TreeComparison> {
    return compareTrees(this.box, PATHS.primary, PATHS.secondary, { fresh: `${PATHS.secondary}:${HOST}:sv0`, ...options });
  }

  /**
   * Waits until primary and secondary are equal. Throws with the differences and the workers' logs when they are not
   * in time, and as soon as a worker that runs now has ended.
   */
  async waitConverged(timeoutMs = 60_000, options: Omit<CompareOptions, 'waitMs' | 'signal'> = {}): Promise<TreeComparison> {
    const died = new AbortController();
    const running = this.#workers.filter((worker) => worker.running);
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
    const logs = await Promise.all(running.map(async (w) => `${w.stderr.slice(-2000)}\n${(await w.log()).slice(-4000)}`));
    throw new Error([why, ...logs].join('\n--- worker\n'));
  }

  /** The status file of a brick's worker. */
  async status(brick = 0): Promise<Readonly<Record<string, unknown>>> {
    const name = encodeURIComponent(this.bricks[brick] ?? '');
    return JSON.parse(await this.read(`${PATHS.session}/brick_${name}.status`)) as Record<string, unknown>;
  }

  /** The session's `status detail` as GlusterFS prints it. */
  async statusDetail(): Promise<string> {
    return (await this.session(['status', 'detail'])).stdout;
  }

  /** Throws when a worker's mount, its process or its mount point is still there after `timeoutMs`. */
  async assertNoMountsLeft(timeoutMs = 10_000): Promise<void> {
    let left: string[] = [];
    const clean = async (): Promise<boolean> => {
      left = await this.#leftovers();
      return left.length === 0;
    };
    await this.until('no mount left', clean, timeoutMs).catch((cause: unknown) => {
      throw new Error(`lab: left behind:\n${left.join('\n')}`, { cause });
    });
  }

  async #leftovers(): Promise<string[]> {
    const mounts = (await this.read('/proc/1/mounts')).split('\n').filter((line) => {
      return line.includes('fuse.glusterfs') && !/ (\/mnt\/|\/run\/gluster\/shared_storage )/.test(line);
    });
    const clients = [...(await this.box.processes()).values()].filter((line) => {
      return /^\S*glusterfs .*(--aux-gfid-mount|aux-gfid-mount)/.test(line);
    });
    const points = (await this.exec(['find', '/tmp', '-maxdepth', '1', '-name', '*aux-mount*'])).stdout;
    return [...mounts, ...clients, ...points.split('\n').filter(Boolean)];
  }

  /** Waits until `test` is true. Throws naming `what` after `timeoutMs`. */
  async until(what: string, test: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!(await test())) {
      if (Date.now() > deadline) throw new Error(`lab: ${what}: not after ${timeoutMs} ms`);
      await sleep(100);
    }
  }

  /** Ends the box and everything in it; after a failure its logs are kept. */
  async close(outcome: 'passed' | 'failed' = 'passed'): Promise<void> {
    await this.box.close(outcome);
  }
}
