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
import type { Beneath } from './beneath.js';
import type { BrickLayout } from './layout.js';

const { ENODATA, ENOENT, ENOTDIR } = constants.errno;
const ABSENT: readonly number[] = [ENODATA, ENOENT, ENOTDIR];

export interface Marked {
  readonly gfid: Gfid;
  readonly path: string;
}

export interface Marks {
  get(inode: Marked, name: string): Xtime | null;
  set(inode: Marked, name: string, mark: Xtime): Promise<void>;
}

export function openMarks(layout: Pick<BrickLayout, 'xattrs' | 'stateDir' | 'beneath'>): Marks {
  return layout.xattrs === 'trusted' ? new XattrMarks(layout.beneath) : new FileMarks(join(layout.stateDir, 'marks'));
}

class XattrMarks implements Marks {
  readonly #beneath: Beneath;

  constructor(beneath: Beneath) {
    this.#beneath = beneath;
  }

  get({ path }: Marked, name: string): Xtime | null {
    try {
      return this.#beneath.inode(path, (inode) => unpackXtime(lgetxattr(inode, name)));
    } catch (error) {
      if (ABSENT.includes(errnoNumber(error) ?? 0)) return null;
      throw error;
    }
  }

  async set({ path }: Marked, name: string, mark: Xtime): Promise<void> {
    try {
      this.#beneath.inode(path, (inode) => lsetxattr(inode, name, packXtime(mark)));
    } catch (error) {
      if (!ABSENT.includes(errnoNumber(error) ?? 0)) throw error;
    }
    return Promise.resolve();
  }
}

/** set() resolves when the root's marks are on disk. Marks of other directories only save crawls some work, so they are
 *  written with the root's next one. */
class FileMarks implements Marks {
  readonly #file: string;
  readonly #marks: Map<string, Xtime>;

  constructor(file: string) {
    this.#file = file;
    this.#marks = readMarks(file);
  }

  get({ gfid }: Marked, name: string): Xtime | null {
    return this.#marks.get(`${gfid} ${name}`) ?? null;
  }

  async set({ gfid }: Marked, name: string, mark: Xtime): Promise<void> {
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
