// stime and entry_stime of a plain-directory primary. If inodes carry trusted.* xattrs, they are xattrs with the names and
// values of a real brick. Otherwise they are in a file.

import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { errnoCode } from '../errors.js';
import { ROOT_GFID, type Gfid } from '../protocol/gfid.js';
import { packXtime, unpackXtime, type Xtime } from '../gluster/xtime.js';
import { replaceFile } from '../native/durable-file.js';
import { errnoNumber, lgetxattr, lsetxattr } from '../native/libc.js';
import type { BeneathRoot } from './beneath.js';
import type { BrickLayout } from './layout.js';

const { ENODATA, ENOENT, ENOTDIR } = constants.errno;
const ABSENT_ERRNOS: readonly number[] = [ENODATA, ENOENT, ENOTDIR];

export interface MarkedInode {
  readonly gfid: Gfid;
  readonly path: string;
}

export interface MarkStore {
  get(inode: MarkedInode, name: string): Xtime | null;
  set(inode: MarkedInode, name: string, mark: Xtime): Promise<void>;
}

export function openMarkStore(layout: Pick<BrickLayout, 'xattrs' | 'stateDir' | 'beneath'>): MarkStore {
  return layout.xattrs === 'trusted'
    ? new XattrMarkStore(layout.beneath)
    : new FileMarkStore(join(layout.stateDir, 'marks'));
}

class XattrMarkStore implements MarkStore {
  readonly #beneath: BeneathRoot;

  constructor(beneath: BeneathRoot) {
    this.#beneath = beneath;
  }

  get({ path }: MarkedInode, name: string): Xtime | null {
    try {
      return this.#beneath.withInode(path, (inode) => unpackXtime(lgetxattr(inode, name)));
    } catch (error) {
      if (ABSENT_ERRNOS.includes(errnoNumber(error) ?? 0)) return null;
      throw error;
    }
  }

  async set({ path }: MarkedInode, name: string, mark: Xtime): Promise<void> {
    try {
      this.#beneath.withInode(path, (inode) => lsetxattr(inode, name, packXtime(mark)));
    } catch (error) {
      if (!ABSENT_ERRNOS.includes(errnoNumber(error) ?? 0)) throw error;
    }
    return Promise.resolve();
  }
}

/** set() resolves when the root's marks are on disk. Marks of other directories only save crawls some work, so they are
 *  written with the root's next one. */
class FileMarkStore implements MarkStore {
  readonly #file: string;
  readonly #marks: Map<string, Xtime>;

  constructor(file: string) {
    this.#file = file;
    this.#marks = readMarks(file);
  }

  get({ gfid }: MarkedInode, name: string): Xtime | null {
    return this.#marks.get(`${gfid} ${name}`) ?? null;
  }

  async set({ gfid }: MarkedInode, name: string, mark: Xtime): Promise<void> {
    this.#marks.set(`${gfid} ${name}`, mark);
    if (gfid === ROOT_GFID) await replaceFile(this.#file, `${JSON.stringify([...this.#marks])}\n`);
  }
}

function readMarks(file: string): Map<string, Xtime> {
  try {
    return new Map(JSON.parse(readFileSync(file, 'utf8')) as [string, Xtime][]);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return new Map();
    throw error;
  }
}
