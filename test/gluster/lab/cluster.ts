// Several machines in one box: primary nodes p1, p2, … in one trusted pool, secondary nodes s1, s2, … in another, each
// with a glusterd, an address and disks of its own, gv0 over the primary ones, sv0 over the secondary ones, and a session
// whose keys every node has. The box itself is the client that changes and compares. Everything ends with the box.
import { Box } from './box.js';
import { layoutArguments } from './lab.js';
import type { Gsyncd, LabOptions } from './lab.js';
import { homeOf, pushKeys, setUpBroker } from './mount-broker.js';
import { Node } from './node.js';
import { PATHS, Pair } from './pair.js';
import type { BrickPlace } from './pair.js';

export interface ClusterOptions extends Omit<LabOptions, 'bricks' | 'gsyncd'> {
  /** Nodes of each side. Default 2. */
  readonly primaries?: number;
  readonly secondaries?: number;
  /**
   * Sets of each volume. A set has one brick on each node of its side; with layout 'distribute', which knows no sets,
   * bricks of a node. Default 1.
   */
  readonly sets?: number;
  /** The gsyncd of the primary and of the secondary nodes. Default: the stock one on both. */
  readonly gsyncd?: readonly [Gsyncd, Gsyncd];
  /** User of the session on the secondary nodes, who mounts through the mount broker. Default root. */
  readonly secondaryUser?: string;
}

/** Seconds after which a client gives up a brick that does not answer; GlusterFS's default is 42. */
const PING_TIMEOUT = 5;

export class Cluster extends Pair {
  readonly primaries: readonly Node[];
  readonly secondaries: readonly Node[];
  override readonly places: readonly BrickPlace[];
  protected override readonly admin: Node;
  protected override readonly remote: string;
  /** Whether the secondary nodes run the stock gsyncd or ever did. */
  #servedByStock: boolean;

  private constructor(box: Box, primaries: readonly Node[], secondaries: readonly Node[], options: ClusterOptions) {
    super(box);
    this.primaries = primaries;
    this.secondaries = secondaries;
    this.#servedByStock = options.gsyncd?.[1] !== 'ours';
    this.admin = primaries[0]!;
    const user = options.secondaryUser === undefined ? '' : `${options.secondaryUser}@`;
    this.remote = `${user}${secondaries[0]!.address}`;
    this.places = bricksOf(primaries, 'gv0', options.sets ?? 1).map(([machine, path]) => ({
      machine,
      host: machine.address,
      path,
    }));
  }

  /** Brings nodes, volumes and the session up. Takes about 20 s. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const box = await Box.open();
    try {
      const nodes = (prefix: string, count: number, first: number): Node[] => {
        return Array.from({ length: count }, (_, i) => new Node(box, `${prefix}${i + 1}`, `10.78.0.${first + i}`));
      };
      const primaries = nodes('p', options.primaries ?? 2, 11);
      const secondaries = nodes('s', options.secondaries ?? 2, 21);
      const cluster = new Cluster(box, primaries, secondaries, options);
      await Promise.all([...primaries, ...secondaries].map((node) => node.boot()));
      if (options.gsyncd !== undefined) await cluster.install(...options.gsyncd);
      await Promise.all([bringUpSide(primaries, 'gv0', options), bringUpSide(secondaries, 'sv0', options)]);
      await cluster.#connect(options);
      return cluster;
    } catch (error) {
      await box.close('failed');
      throw error;
    }
  }

  async #connect(options: ClusterOptions): Promise<void> {
    await this.mount('gv0', PATHS.primary, ['--acl']);
    await this.mount('sv0', PATHS.secondary, ['--acl']);
    if (options.session === 'none') return;
    const user = options.secondaryUser;
    if (user !== undefined) await setUpBroker(this.secondaries, user);
    await this.gluster(['system::', 'execute', 'gsec_create']);
    await this.session(['create', 'push-pem']);
    if (user !== undefined) await pushKeys(this.secondaries[0]!, user);
    // The keys arrive on the secondary's nodes some time after the command that sends them.
    for (const node of this.secondaries) {
      await this.until(
        `keys of the session on ${node.name}`,
        async () => {
          const keys = await node.read(`${homeOf(user)}/.ssh/authorized_keys`);
          return (keys.match(/gsyncd/g) ?? []).length >= this.primaries.length;
        },
        60_000,
      );
    }
    await this.until('read-only secondary', async () => {
      return (await this.secondaries[0]!.gluster(['volume', 'info', 'sv0'])).stdout.includes('features.read-only: on');
    });
    if (options.metaVolume === 'shared') {
      await this.setConfig({ 'use-meta-volume': 'true', 'meta-volume-mnt': PATHS.meta });
    }
    await this.setConfig(options.config ?? {});
  }

  /** Puts gsyncds in place on the primary and on the secondary nodes. The session must not run. */
  async install(primary: Gsyncd, secondary: Gsyncd): Promise<void> {
    this.#servedByStock ||= secondary === 'stock';
    await Promise.all([
      ...this.primaries.map((node) => node.install(primary)),
      ...this.secondaries.map((node) => node.install(secondary)),
    ]);
  }

  protected override get ownSecondaries(): readonly Node[] {
    return this.#servedByStock ? [] : this.secondaries.filter((node) => !node.lostPower);
  }

  protected override get isReplicated(): boolean {
    return this.secondaries.length > 1;
  }

  protected override serverOf(volume: string): string {
    const side = volume === 'sv0' ? this.secondaries : this.primaries;
    return (side.find((node) => node.up) ?? side[0]!).address;
  }
}

/** Bricks of a volume in the order in which it is created: a set's bricks are on different nodes. */
function bricksOf(nodes: readonly Node[], volume: string, sets: number): [Node, string][] {
  return Array.from({ length: sets }, (_, set) => set).flatMap((set) => {
    return nodes.map((node): [Node, string] => [node, `/srv/${volume}_${set + 1}`]);
  });
}

/** Joins the nodes in a pool and starts their volume. */
async function bringUpSide(nodes: readonly Node[], volume: 'gv0' | 'sv0', options: ClusterOptions): Promise<void> {
  const [first, ...others] = nodes;
  for (const node of others) await first!.gluster(['peer', 'probe', node.address]);
  for (const node of nodes) await node.untilPeers(others.length);
  const create = async (name: string, layout: readonly string[], sets: number): Promise<void> => {
    const bricks = bricksOf(nodes, name, sets).map(([node, path]) => `${node.address}:${path}`);
    await first!.gluster(['volume', 'create', name, ...layout, ...bricks, 'force']);
    await first!.gluster(['volume', 'set', name, 'network.ping-timeout', String(PING_TIMEOUT)]);
    await first!.gluster(['volume', 'start', name]);
  };
  await create(
    volume,
    nodes.length === 1 ? [] : layoutArguments(options.layout ?? 'distribute', nodes.length),
    options.sets ?? 1,
  );
  if (volume === 'sv0') return;
  await first!.gluster(['volume', 'set', 'gv0', 'changelog.rollover-time', String(options.rolloverSeconds ?? 3)]);
  if (options.metaVolume !== 'shared') return;
  await create('meta', nodes.length === 1 ? [] : ['replica', String(nodes.length)], 1);
  for (const node of nodes) {
    await node.exec(['mkdir', '-p', PATHS.meta]);
    await node.exec(['glusterfs', '-s', node.address, '--volfile-id', 'meta', PATHS.meta]);
  }
}
