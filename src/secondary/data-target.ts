// Where an engine sends data: the ssh address of the secondary and its mount's path there.

export interface DataTarget {
  /** `[user@]host` */
  readonly address: string;
  /** Directory on that host in which `.gfid/<gfid>` resolves, and resolves by text (rsync >= 3.4). */
  readonly directory: string;
}
