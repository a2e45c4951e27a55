// Estimates how many entries a brick holds, without a crawl. Gfids are random, so the handles in one of the 256
// directories `.glusterfs/xx` are a fair sample of all. The estimate reads directories until it has counted enough
// handles, and counts a small brick completely. Handles are inodes, so hard links are not counted: even a complete
// count is an estimate.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoCode } from '../errors.js';
import { fsEncode } from '../names.js';

const SAMPLE_HANDLES = 4_000;
const HEX_NAME = /^[0-9a-f]{2}$/;

/** @param brick path of the brick
 *  @param sampleHandles number of handles in the sample
 *  @returns null when the brick has no readable handles */
export async function estimateEntries(brick: string, sampleHandles = SAMPLE_HANDLES): Promise<number | null> {
  const root = join(brick, '.glusterfs');
  let handles = 0;
  let readDirs = 0;
  try {
    const topDirs = (await readdir(fsEncode(root), 'utf8')).filter((name) => HEX_NAME.test(name)).sort();
    if (topDirs.length === 0) return null;
    // Directory 00 also holds the handles of the root and of GlusterFS's own directories, so it comes last.
    for (const topDir of topDirs.reverse()) {
      handles += await countHandles(join(root, topDir));
      readDirs += 1;
      if (handles >= sampleHandles) break;
    }
    // GlusterFS creates a handle directory with its first handle, so missing directories are empty.
    return readDirs === topDirs.length ? handles : Math.round((handles * topDirs.length) / readDirs);
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
