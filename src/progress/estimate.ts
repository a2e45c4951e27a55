// How many entries a brick holds, without walking it: gfids are random, so the handles that lie in one of the 256
// directories `.glusterfs/xx` are a fair sample of all. Directories are read until enough handles are counted; a
// small brick is counted whole. Used for the expected end of a first sync.
// Handles are inodes: a further name of a file is not counted, so the result is an estimate even then.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoCode } from '../errors.js';
import { fsEncode } from '../names.js';

const ENOUGH = 4_000;
const HEX_NAME = /^[0-9a-f]{2}$/;

/** @param brick path of the brick
 *  @param enough handles of the sample
 *  @returns null when the brick has no handles that can be read */
export async function estimateEntries(brick: string, enough = ENOUGH): Promise<number | null> {
  const root = join(brick, '.glusterfs');
  let found = 0;
  let read = 0;
  try {
    const tops = (await readdir(fsEncode(root), 'utf8')).filter((name) => HEX_NAME.test(name)).sort();
    if (tops.length === 0) return null;
    // 00 holds the root's handle and those of GlusterFS's own directories, so it comes last.
    for (const top of tops.reverse()) {
      found += await countHandles(join(root, top));
      read += 1;
      if (found >= enough) break;
    }
    // Directories of handles are made when the first handle comes: those that are missing are empty.
    return read === tops.length ? found : Math.round((found * tops.length) / read);
  } catch {
    return null;
  }
}

async function countHandles(dir: string): Promise<number> {
  let count = 0;
  for (const name of await readdir(fsEncode(dir), 'utf8')) {
    if (!HEX_NAME.test(name)) continue;
    try {
      count += (await readdir(fsEncode(join(dir, name)))).length;
    } catch (error) {
      if (errnoCode(error) !== 'ENOENT' && errnoCode(error) !== 'ENOTDIR') throw error;
    }
  }
  return count;
}
