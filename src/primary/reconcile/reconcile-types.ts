// Input and result of a comparison of names.

import type { Gfid } from '../../protocol/gfid.js';
import type { Secondary } from '../../protocol/secondary.js';
import type { Known } from './replay-tracker.js';
import type { EntrySync } from './entry-sync.js';
import type { BrickView, PrimaryView } from '../../protocol/view.js';

export interface ReconcileDeps {
  readonly view: PrimaryView;
  readonly brick: BrickView;
  readonly secondary: Secondary;
  readonly sync: EntrySync;
  readonly deletes: 'apply' | 'ignore';
  /** What may be taken away on the secondary though the primary has it no more: everything, or what came from there. */
  readonly removable: 'all' | Known;
  /** Whether the peer takes only UTF-8 names in most positions (a stock one). */
  readonly peerNames: 'utf8' | 'bytes';
  /** Notes durably what has to follow something that is about to be made again: should the worker be killed before
   *  it does, nothing else tells of it. */
  readonly owe: (what: Owed) => Promise<void>;
}

export interface Owed {
  /** Entry paths of what new directories have to hold, and parking names. */
  readonly names: Set<string>;
  /** Files that lack their content. */
  readonly dataGfids: Set<Gfid>;
  /** Gfids that lack their attributes. */
  readonly metaGfids: Set<Gfid>;
  /** Directories and special files that lack their xattrs. */
  readonly xattrs: Set<Gfid>;
}

export interface Unresolved {
  readonly gfid: Gfid | null;
  readonly reason: string;
}

export interface ReconcileResult {
  /** Names that differed and now agree. */
  readonly fixed: number;
  /** Names that agree in the end: given ones, and those that were found to be concerned. */
  readonly agreed: Set<string>;
  /** Every name that was compared, and the gfids found there: see replay-tracker.ts. */
  readonly touched: Set<string>;
  /** Names that still differ. */
  readonly unresolved: Map<string, Unresolved>;
  /** Those of them that are there on the secondary, though its mount does not show them at any name, or not what is in
   *  them: a mount that has seen other places of the directories above may deny the present one. */
  readonly denied: Set<string>;
  /** Files that were linked or created: their content must follow. */
  readonly dataGfids: Set<Gfid>;
  /** Directories and special files that were created: their attributes must follow. */
  readonly metaGfids: Set<Gfid>;
}
