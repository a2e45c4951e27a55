// Where an engine sends data: the ssh address of the secondary and its mount's path there, or a directory of this
// machine.

export interface DataTarget {
  /** `[user@]host`; null: this machine, without ssh. */
  readonly address: string | null;
  /** Directory on that host in which `.gfid/<gfid>` resolves, and resolves by text (rsync >= 3.4). */
  readonly directory: string;
}
