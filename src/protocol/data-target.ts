// The target of an engine: the secondary's ssh address and the path of its mount there, or a directory on this machine.

export interface DataTarget {
  /** `[user@]host`; null: this machine, without ssh. */
  readonly address: string | null;
  /** Directory on that host in which `.gfid/<gfid>` resolves. rsync >= 3.4 resolves its path as text, so a GlusterFS mount
   *  must stay mounted there. */
  readonly directory: string;
}
