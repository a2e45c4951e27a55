// The working directory of a brick. Its name is the stock daemon's: the brick's path with `-` for `/`. So /d/x-1 and /d/x/1
// share one name. A file in the directory names its brick, and the second of such bricks gets another directory.

import { createHash, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { escapePath } from '../config/template.js';
import { errnoCode } from '../errors.js';
import { fsDecode, fsEncode } from '../names.js';

const OWNER_FILE = 'brick';

/** Creates the directory. If several bricks share a name, the first one to ask owns it permanently.
 *  @throws system errors */
export async function brickWorkingDir(parent: string, brickPath: string): Promise<string> {
  const shared = join(parent, escapePath(brickPath));
  await mkdir(fsEncode(shared), { recursive: true });
  if ((await claimOwner(shared, brickPath)) === brickPath) return shared;
  const own = `${shared}.${createHash('sha256').update(fsEncode(brickPath)).digest('hex').slice(0, 12)}`;
  await mkdir(fsEncode(own), { recursive: true });
  return own;
}

/** The brick that owns the directory. If it has no owner, `brickPath` becomes its owner. */
async function claimOwner(dir: string, brickPath: string): Promise<string> {
  const file = fsEncode(join(dir, OWNER_FILE));
  const claimFile = fsEncode(join(dir, `${OWNER_FILE}.${randomUUID()}`));
  try {
    return fsDecode(await readFile(file));
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error;
  }
  // A link, because two workers may claim the directory at once, and neither may read a partial name.
  await writeFile(claimFile, fsEncode(brickPath));
  try {
    await link(claimFile, file);
  } catch (error) {
    if (errnoCode(error) !== 'EEXIST') throw error;
  } finally {
    await rm(claimFile, { force: true });
  }
  return fsDecode(await readFile(file));
}
