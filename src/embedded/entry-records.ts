// Turns the result of a scan into entry records: replayed in order, they turn the indexed tree into the found one. Pure but
// for the index, which each record updates.
//
// Directories are placed from the top down, so that every move goes below a directory in its final place. An inode in the
// way is removed if it no longer exists, and moved to a temporary name in the root if it does. Removals of remaining names
// come last. One operation since the last scan gives the record that the changelog translator writes for it.

import type { ChangeRecord } from '../changelog/record.js';
import { ROOT_GFID, type Gfid } from '../protocol/gfid.js';
import { TEMP_PREFIX } from '../protocol/temp-names.js';
import { fileKind } from '../protocol/view.js';
import type { ScanResult } from './scan.js';
import { isDirectory, placeOf, type IndexNode, type Place, type TreeIndex } from './tree-index.js';

type EntryRecord = ChangeRecord & { type: 'entry' };

/** @returns the records in order. Applies them to the index, which has the found names afterwards. */
export function deriveEntryRecords(index: TreeIndex, found: ScanResult): EntryRecord[] {
  return new Derivation(index, found).run();
}

class Derivation {
  readonly #index: TreeIndex;
  readonly #found: ScanResult;
  readonly #records: EntryRecord[] = [];
  /** Places of the directories in the found tree. */
  readonly #dirPlaces = new Map<Gfid, Place>();
  readonly #namedInodes = new Set<Gfid>();

  constructor(index: TreeIndex, found: ScanResult) {
    this.#index = index;
    this.#found = found;
    for (const [parent, children] of found.dirs) {
      for (const [name, gfid] of children) {
        this.#namedInodes.add(gfid);
        if (isDirectory(found.attributes.get(gfid)?.mode ?? 0)) this.#dirPlaces.set(gfid, { parent, name });
      }
    }
  }

  run(): EntryRecord[] {
    const dirs = [...this.#found.dirs.keys()].map((gfid) => ({ gfid, depth: this.#depth(gfid) }));
    dirs.sort((a, b) => a.depth - b.depth);
    for (const { gfid, depth } of dirs) {
      if (depth === Infinity) continue;
      for (const [name, child] of this.#found.dirs.get(gfid) ?? []) this.#placeInode({ parent: gfid, name }, child);
    }
    for (const { gfid, depth } of dirs) {
      if (depth === Infinity) continue;
      const children = this.#found.dirs.get(gfid);
      for (const [name, child] of [...(this.#index.nodes.get(gfid)?.children ?? [])]) {
        if (!children?.has(name)) this.#clearPlace({ parent: gfid, name }, child);
      }
    }
    return this.#records;
  }

  /** Levels below the root in the found tree; Infinity if the directory is not in it. */
  #depth(gfid: Gfid): number {
    let depth = 0;
    for (let ancestor = gfid; ancestor !== ROOT_GFID; depth += 1) {
      const place = this.#finalPlace(ancestor);
      if (place === undefined || depth > 100_000) return Infinity;
      ancestor = place.parent;
    }
    return depth;
  }

  #finalPlace(dir: Gfid): Place | undefined {
    const found = this.#dirPlaces.get(dir);
    if (found !== undefined) return found;
    const place = placeOf(this.#index.nodes.get(dir));
    return place !== undefined && this.#isStillAt(place, dir) ? place : undefined;
  }

  /** Whether an indexed name still holds its inode in the found tree. */
  #isStillAt({ parent, name }: Place, gfid: Gfid): boolean {
    const children = this.#found.dirs.get(parent);
    if (children !== undefined) return children.get(name) === gfid;
    if (this.#dirPlaces.has(gfid)) return false;
    return parent === ROOT_GFID || this.#finalPlace(parent) !== undefined;
  }

  #isAlive(node: IndexNode): boolean {
    return (
      this.#namedInodes.has(node.gfid) || [...node.names.values()].some((place) => this.#isStillAt(place, node.gfid))
    );
  }

  #placeInode(place: Place, gfid: Gfid): void {
    const occupant = this.#index.gfidAt(place.parent, place.name);
    if (occupant === gfid) return;
    const node = this.#index.nodes.get(gfid);
    const source =
      node === undefined ? undefined : [...node.names.values()].find((name) => !this.#isStillAt(name, gfid));
    if (occupant !== undefined && !(source !== undefined && this.#canReplace(occupant, gfid)))
      this.#clearPlace(place, occupant);
    if (node === undefined) this.#create(place, gfid);
    else if (source !== undefined)
      this.#emit({ type: 'entry', gfid, fop: 'RENAME', ...source, newParent: place.parent, newName: place.name });
    else this.#emit({ type: 'entry', gfid, fop: 'LINK', ...place });
  }

  /** Whether a rename may replace the inode that holds the name, without losing an inode that is needed later. */
  #canReplace(occupant: Gfid, replacement: Gfid): boolean {
    const node = this.#index.require(occupant);
    if (isDirectory(node.mode) !== isDirectory(this.#index.require(replacement).mode)) return false;
    if (node.children !== null) return node.children.size === 0 && !this.#isAlive(node);
    return node.names.size > 1 || !this.#isAlive(node);
  }

  #clearPlace(place: Place, gfid: Gfid): void {
    const node = this.#index.require(gfid);
    if (this.#isAlive(node) && (node.children !== null || node.names.size === 1)) {
      this.#emit({ type: 'entry', gfid, fop: 'RENAME', ...place, newParent: ROOT_GFID, newName: TEMP_PREFIX + gfid });
      return;
    }
    if (node.children === null) return this.#emit({ type: 'entry', gfid, fop: 'UNLINK', ...place });
    for (const [name, child] of [...node.children]) this.#clearPlace({ parent: gfid, name }, child);
    this.#emit({ type: 'entry', gfid, fop: 'RMDIR', ...place });
  }

  #create(place: Place, gfid: Gfid): void {
    const attributes = this.#found.attributes.get(gfid);
    if (attributes === undefined) throw new Error(`embedded brick: ${gfid} was found without attributes`);
    const kind = fileKind(attributes.mode);
    if (kind === 'symlink') return this.#emit({ type: 'entry', gfid, fop: 'SYMLINK', ...place });
    const fop = kind === 'dir' ? 'MKDIR' : kind === 'file' ? 'CREATE' : 'MKNOD';
    this.#emit({ type: 'entry', gfid, fop, ...place, mode: attributes.mode, uid: attributes.uid, gid: attributes.gid });
  }

  #emit(record: EntryRecord): void {
    this.#records.push(record);
    this.#index.apply(record);
  }
}
