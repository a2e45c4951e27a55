// Two real volumes and a geo-replication session on one machine: gv0 replicates to sv0 over ssh. Tests start workers on
// it (this project's or the stock daemon), change the primary and wait for the trees to be equal. Whatever a test leaves
// behind ends with the lab. See Cluster for several machines.
import { Box } from './box.js';
import { PATHS, Pair } from './pair.js';
import type { BrickPlace, WorkerOptions } from './pair.js';
import { WorkerHandle } from './worker.js';

export { PATHS } from './pair.js';
export type { WorkerOptions } from './pair.js';

export const HOST = '10.77.0.1';

/** LAB_WORKER=stock runs every scenario with the stock worker instead, to tell the lab's faults from the worker's. */
const STOCK_INSTEAD = process.env['LAB_WORKER'] === 'stock';

export interface LabOptions {
  /** Bricks of each volume. Default 1. */
  readonly bricks?: number;
  /** Bricks and layout of the secondary volume, where they differ. */
  readonly secondary?: { readonly bricks: number; readonly layout: Layout };
  /** Default 'distribute'. */
  readonly layout?: Layout;
  /** Options of the volumes, set before they are started. */
  readonly volumeOptions?: Readonly<Partial<Record<'gv0' | 'sv0', Readonly<Record<string, string>>>>>;
  /** Seconds after which the primary's changelog is closed. Default 3. */
  readonly rolloverSeconds?: number;
  /** Options of the session, set before anything starts. */
  readonly config?: Readonly<Record<string, string>>;
  /** 'shared' mounts a third volume where the workers of a session elect the active one with a lock. Default 'none'. */
  readonly metaVolume?: 'none' | 'shared';
  /** 'real' (default) makes the session with its keys; 'none' stops after the volumes. */
  readonly session?: 'real' | 'none';
  /** 'xfs' gives each brick of both volumes an XFS file system of 10 GiB. Default: a directory of the machine's disk. */
  readonly brickDisks?: 'xfs';
  /** 'resizable' puts each brick of the secondary on a tmpfs, which `mount -o remount,size=` resizes. Default: the machine's disk. */
  readonly secondaryDisk?: 'resizable';
  /** The gsyncd that glusterd and the session's keys start. Default 'stock'. */
  readonly gsyncd?: Gsyncd;
}

export type Gsyncd = 'ours' | 'stock';

/** 'pairs', 'triples' and 'arbiter' have sets of two or three bricks; all bricks are one set of 'replica' or 'disperse', which
 *  needs three. */
export type Layout = 'distribute' | 'replica' | 'pairs' | 'triples' | 'arbiter' | 'disperse';

export class Lab extends Pair {
  /** Paths of the primary's bricks. */
  readonly bricks: readonly string[];
  protected override readonly admin: Box;
  protected override readonly remote: string = HOST;
  override readonly places: readonly BrickPlace[];
  /** The box is among the places already. */
  protected override readonly ownSecondaries = [];
  protected override readonly isReplicated: boolean;
  protected override readonly writerKeepsTimes: boolean;
  #nodeId = '';
  #secondaryId = '';

  private constructor(box: Box, bricks: readonly string[], { layout, secondary, volumeOptions }: LabOptions) {
    super(box);
    this.admin = box;
    this.bricks = bricks;
    this.writerKeepsTimes = volumeOptions?.gv0?.['features.shard'] === 'on';
    this.isReplicated = (secondary?.layout ?? layout ?? 'distribute') !== 'distribute';
    this.places = bricks.map((path) => ({ machine: box, host: HOST, path }));
  }

  /** Brings the volumes up and mounts them. Takes about 8 s. */
  static async start(options: LabOptions = {}): Promise<Lab> {
    const box = await Box.open();
    const count = options.bricks ?? 1;
    const lab = new Lab(
      box,
      Array.from({ length: count }, (_, i) => `/srv/gv0_${i + 1}`),
      options,
    );
    try {
      await lab.#bringUp(options, count);
      return lab;
    } catch (error) {
      await box.close('failed');
      throw error;
    }
  }

  async #bringUp(options: LabOptions, count: number): Promise<void> {
    if (options.gsyncd === 'ours') await this.box.install('ours');
    await this.exec(['glusterd']);
    await this.until('glusterd', async () => (await this.gluster(['pool', 'list'], 'return')).code === 0);
    if (options.secondaryDisk === 'resizable') {
      for (let i = 1; i <= count; i++)
        await this.exec(['bash', '-c', `mkdir -p /srv/sv0_${i} && mount -t tmpfs -o size=100T disk /srv/sv0_${i}`]);
    }
    const primary = { bricks: count, layout: options.layout ?? 'distribute' } as const;
    for (const [volume, { bricks, layout }] of [
      ['gv0', primary],
      ['sv0', options.secondary ?? primary],
    ] as const) {
      const paths = Array.from({ length: bricks }, (_, i) => `/srv/${volume}_${i + 1}`);
      if (options.brickDisks === 'xfs') for (const path of paths) await this.#makeXfs(path);
      await this.gluster([
        'volume',
        'create',
        volume,
        ...layoutArguments(layout, bricks),
        ...paths.map((path) => `${HOST}:${path}`),
        'force',
      ]);
      for (const [name, value] of Object.entries(options.volumeOptions?.[volume] ?? {}))
        await this.gluster(['volume', 'set', volume, name, value]);
      await this.gluster(['volume', 'start', volume]);
    }
    await this.mount('gv0', PATHS.primary, ['--acl']);
    await this.mount('sv0', PATHS.secondary, ['--acl']);
    if (options.session !== 'none') await this.#createSession(options);
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

  /** The loop device goes with its mount. */
  async #makeXfs(brick: string): Promise<void> {
    await this.sh(
      `mkdir ${brick}; truncate -s 10G ${brick}.xfs; mkfs.xfs -q -i size=512 ${brick}.xfs; mount -o loop,noatime ${brick}.xfs ${brick}`,
      '/srv',
    );
  }

  /** The keys arrive on the secondary some time after the command that sends them. */
  async #createSession({ secondary }: LabOptions): Promise<void> {
    await this.gluster(['system::', 'execute', 'gsec_create']);
    // A secondary with more copies has less room on this disk, as GlusterFS counts it.
    await this.session(['create', 'push-pem', ...(secondary === undefined ? [] : ['force'])]);
    await this.until('keys of the session', async () => {
      return (await this.read('/root/.ssh/authorized_keys')).includes('gsyncd');
    });
    await this.until('read-only secondary', async () => {
      return (await this.gluster(['volume', 'info', 'sv0'])).stdout.includes('features.read-only: on');
    });
  }

  protected override serverOf(): string {
    return HOST;
  }

  /**
   * Stands in for the session's monitor, without which GlusterFS shows every worker as created or stopped: says that
   * it was started and holds its pid file's lock until the box ends.
   */
  async pretendMonitor(): Promise<void> {
    const pidFile = `/run/gluster/gsyncd-gv0-${HOST}-sv0.pid`;
    const hold = [
      'import fcntl, sys, time',
      `open('${this.sessionDir}/monitor.status', 'w').write('Started')`,
      `held = open('${pidFile}', 'w')`,
      'fcntl.lockf(held, fcntl.LOCK_EX)',
      'print("held", flush=True)',
      'time.sleep(1e6)',
    ];
    const holder = this.box.start(['python3', '-c', hold.join('\n')]);
    await new Promise<void>((resolve, reject) => {
      holder.stdout?.once('data', () => resolve());
      holder.once('exit', () => reject(new Error('lab: stand-in for the monitor: ended')));
    });
  }

  override startWorker(options: WorkerOptions = {}): WorkerHandle {
    return STOCK_INSTEAD ? this.startStockWorker(options) : super.startWorker(options);
  }

  /**
   * Starts the stock worker without its monitor, with the arguments that the monitor would give. It ends with exit
   * code 1 or a signal on SIGTERM, which is how stock's ends.
   */
  startStockWorker(options: WorkerOptions = {}): WorkerHandle {
    const brick = this.place(options.brick ?? 0).path;
    const find =
      'exec 9>/dev/null; exec unshare -m --propagation private python3 /usr/lib*/*/glusterfs/python/syncdaemon/gsyncd.py worker "$@"';
    const argv = [
      'bash',
      '-c',
      find,
      'sh',
      'gv0',
      `${HOST}::sv0`,
      '--feedback-fd',
      '9',
      '--local-path',
      brick,
      '--local-node',
      HOST,
      '--local-node-id',
      this.#nodeId,
      '--secondary-id',
      this.#secondaryId,
      '--subvol-num',
      String((options.brick ?? 0) + 1),
      '--resource-remote',
      HOST,
      '--resource-remote-id',
      this.#nodeId,
      ...(options.args ?? []),
    ];
    const worker = new WorkerHandle(this.box.start(argv, options.env), this.box.outside(this.sessionLog), 'stock');
    this.workers.push(worker);
    return worker;
  }

  /** From now on the session's keys start this project's gsyncd on the secondary instead of the stock one. */
  async useOwnSecondary(): Promise<void> {
    await this.box.install('ours');
  }

  /** Starts the stock daemon on the session. The option makes its data arrive with newer versions of rsync too. */
  async startStock(): Promise<void> {
    await this.setConfig({ 'secondary-access-mount': 'true' });
    await this.session(['start']);
  }

  async stopStock(): Promise<void> {
    await this.session(['stop', 'force']);
  }
}

/** The arguments of `volume create` for a layout of `count` bricks. */
export function layoutArguments(layout: Layout, count: number): string[] {
  switch (layout) {
    case 'distribute':
      return [];
    case 'replica':
      return ['replica', String(count)];
    case 'pairs':
      return ['replica', '2'];
    case 'triples':
      return ['replica', '3'];
    case 'arbiter':
      return ['replica', '3', 'arbiter', '1'];
    case 'disperse':
      return ['disperse', String(count), 'redundancy', '1'];
  }
}
