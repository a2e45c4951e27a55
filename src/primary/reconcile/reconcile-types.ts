// Input and result of a comparison of names.

import type { Gfid } from '../../protocol/gfid.js';
import type { Secondary } from '../../protocol/secondary.js';
import type { KnownEntries } from './replay-tracker.js';
import type { EntrySync } from './entry-sync.js';
import type { BrickView, PrimaryView } from '../../protocol/view.js';

export interface ReconcileDeps {
  readonly view: PrimaryView;
  readonly brick: BrickView;
  readonly secondary: Secondary;
  readonly sync: EntrySync;
  readonly deletes: 'apply' | 'ignore';
  /** Entries that may be removed from the secondary when the primary no longer has them: all, or those that came from the
   *  primary. */
  readonly removable: 'all' | KnownEntries;
  /** 'utf8': the peer takes only UTF-8 names in most positions (a stock one). */
  readonly peerNames: 'utf8' | 'bytes';
  /** Records durably the work that must follow an entry that is about to be created again. If the worker is killed before
   *  that work is done, no changelog names it. */
  readonly recordFollowUp: (followUp: FollowUp) => Promise<void>;
}

export interface FollowUp {
  /** Entry paths of the children of new directories, and temporary names. */
  readonly names: Set<string>;
  /** Files that lack their content. */
  readonly dataGfids: Set<Gfid>;
  /** Gfids that lack their attributes. */
  readonly metaGfids: Set<Gfid>;
  /** Directories and special files that lack their xattrs. */
  readonly xattrGfids: Set<Gfid>;
}

export interface Unresolved {
  readonly gfid: Gfid | null;
  readonly reason: string;
}

export interface ReconcileResult {
  /** Number of names that differed and are now equal. */
  readonly fixedCount: number;
  /** Names that are equal in the end: the given ones, and others that the comparison had to include. */
  readonly equalNames: Set<string>;
  /** All compared names, and the gfids found there: see replay-tracker.ts. */
  readonly touchedKeys: Set<string>;
  /** Names that still differ. */
  readonly unresolved: Map<string, Unresolved>;
  /** Unresolved names whose inode exists on the secondary, although its mount shows it, or its content, at no path. A mount
   *  that cached other places of the directories above may deny the present path. */
  readonly denied: Set<string>;
  /** Files that were linked or created: their content must follow. */
  readonly dataGfids: Set<Gfid>;
  /** Directories and special files that were created: their attributes must follow. */
  readonly metaGfids: Set<Gfid>;
}
