// Compares two directory trees in full: names, types, modes, owners, sizes, times of files, hard links, targets, xattrs,
// ACLs and contents. Times of directories and symlinks are not compared: replication does not guarantee them.

import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync, type BigIntStats } from 'node:fs';
import { errnoCode } from '../errors.js';
import { userXattrs } from '../embedded/user-xattrs.js';
import { fsDecode, fsEncode } from '../names.js';
import { fileKind } from '../protocol/view.js';

export interface TreeCounts {
  files: number;
  directories: number;
  symlinks: number;
  others: number;
  bytes: number;
}

export interface Comparison {
  /** One line per difference: the path, and the attribute that differs. */
  readonly differences: readonly string[];
  readonly counts: TreeCounts;
}

type Description = Readonly<Record<string, string>>;

/** State directory of a plain directory, at its top. */
const INTERNAL = ['.glusterfs'];
/** Times of files are replicated with at least this precision. */
const TIME_STEP_NS = 10_000n;

/** Names are in the form of names.ts. @param skip names at the top that are not compared
 *  @throws errors of reading, except for inodes that vanish during the comparison */
export function compareTrees(a: string, b: string, skip: readonly string[] = INTERNAL): Comparison {
  const [here, there] = [describeTree(a, skip), describeTree(b, skip)];
  const differences: string[] = [];
  for (const path of new Set([...here.entries.keys(), ...there.entries.keys()])) {
    const [left, right] = [here.entries.get(path), there.entries.get(path)];
    if (left === undefined || right === undefined) differences.push(`${JSON.stringify(path)}: only in the ${left === undefined ? 'second' : 'first'}`);
    else {
      const fields = Object.keys({ ...left, ...right }).filter((field) => !isSame(field, left[field], right[field]));
      for (const field of fields) differences.push(`${JSON.stringify(path)}: ${field}: ${left[field] ?? 'none'} here, ${right[field] ?? 'none'} there`);
    }
  }
  return { differences, counts: here.counts };
}

/** Compares times with a tolerance: rounding may put nearly equal times into different steps. */
function isSame(field: string, left: string | undefined, right: string | undefined): boolean {
  if (left === right || left === undefined || right === undefined || field !== 'mtime') return left === right;
  const apart = BigInt(left) - BigInt(right);
  return apart <= TIME_STEP_NS && -apart <= TIME_STEP_NS;
}

function describeTree(root: string, skip: readonly string[]): { entries: Map<string, Description>; counts: TreeCounts } {
  const entries = new Map<string, Description>();
  const counts: TreeCounts = { files: 0, directories: 0, symlinks: 0, others: 0, bytes: 0 };
  const firstNames = new Map<bigint, string>();
  const stack = [''];
  for (let dir = stack.pop(); dir !== undefined; dir = stack.pop()) {
    for (const name of namesIn(`${root}${dir}`).sort()) {
      if (dir === '' && skip.includes(name)) continue;
      const path = `${dir}/${name}`;
      const stats = unlessGone(() => {
        const now = lstatSync(fsEncode(`${root}${path}`), { bigint: true });
        entries.set(path, describe(`${root}${path}`, path, now, firstNames));
        return now;
      });
      if (stats === undefined) continue;
      count(counts, stats);
      if (stats.isDirectory()) stack.push(path);
    }
  }
  return { entries, counts };
}

function describe(file: string, path: string, stats: BigIntStats, firstNames: Map<bigint, string>): Description {
  const kind = fileKind(Number(stats.mode));
  const common = { type: kind, owner: `${stats.uid}:${stats.gid}` };
  if (kind === 'symlink') return { ...common, target: JSON.stringify(fsDecode(readlinkSync(fsEncode(file), { encoding: 'buffer' }))) };
  const described = { ...common, mode: (Number(stats.mode) & 0o7777).toString(8), xattrs: xattrText(file) };
  if (kind === 'device') return { ...described, device: String(stats.rdev) };
  if (kind !== 'file') return described;
  // The first name of an inode, in sorted order, identifies its group of hard links.
  const first = firstNames.get(stats.ino);
  if (first === undefined) firstNames.set(stats.ino, path);
  return { ...described, size: String(stats.size), mtime: String(stats.mtimeNs), links: String(stats.nlink), group: JSON.stringify(first ?? path), content: first === undefined ? digest(file) : 'as the first' };
}

function xattrText(file: string): string {
  return [...userXattrs(file)].map(([name, value]) => `${name}=${value.toString('base64')}`).sort().join(' ');
}

function digest(file: string): string {
  return unlessClosed('EACCES', () => createHash('sha1').update(readFileSync(fsEncode(file))).digest('hex'));
}

function namesIn(dir: string): string[] {
  return unlessGone(() => unlessClosed([], () => readdirSync(fsEncode(dir), { encoding: 'buffer' }).map(fsDecode))) ?? [];
}

function unlessClosed<T>(closed: T, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (errnoCode(error) === 'EACCES') return closed;
    throw error;
  }
}

/** @returns undefined if the inode or a directory above it vanishes, or changes its type, during the read */
function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'EISDIR', 'EINVAL'].includes(errnoCode(error) ?? '')) return undefined;
    throw error;
  }
}

function count(counts: TreeCounts, stats: BigIntStats): void {
  if (stats.isFile()) counts.files += 1;
  else if (stats.isDirectory()) counts.directories += 1;
  else if (stats.isSymbolicLink()) counts.symlinks += 1;
  else counts.others += 1;
  if (stats.isFile()) counts.bytes += Number(stats.size);
}
