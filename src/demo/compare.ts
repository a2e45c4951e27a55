// Compares two directory trees in full: names, types, modes, owners, sizes, times of files, hard links, targets, xattrs,
// ACLs and contents. Times of directories and symlinks are not compared: replication does not guarantee them.

import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync, type BigIntStats } from 'node:fs';
import { errnoCode } from '../errors.js';
import { INTERNAL_NAME } from '../embedded/layout.js';
import { readUserXattrs } from '../embedded/user-xattrs.js';
import { fsDecode, fsEncode } from '../names.js';
import { fileKind, PERMISSIONS } from '../protocol/view.js';

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

/** Times of files are replicated with at least this precision. */
const TIME_TOLERANCE_NS = 10_000n;

/** Names are in the form of names.ts. @param skip names at the top that are not compared
 *  @throws errors of reading, except for inodes that vanish during the comparison */
export function compareTrees(a: string, b: string, skip: readonly string[] = [INTERNAL_NAME]): Comparison {
  const [first, second] = [describeTree(a, skip), describeTree(b, skip)];
  const differences: string[] = [];
  for (const path of new Set([...first.entries.keys(), ...second.entries.keys()])) {
    const [firstEntry, secondEntry] = [first.entries.get(path), second.entries.get(path)];
    if (firstEntry === undefined || secondEntry === undefined)
      differences.push(`${JSON.stringify(path)}: only in the ${firstEntry === undefined ? 'second' : 'first'}`);
    else {
      const fields = Object.keys({ ...firstEntry, ...secondEntry }).filter(
        (field) => !isSameValue(field, firstEntry[field], secondEntry[field]),
      );
      for (const field of fields)
        differences.push(
          `${JSON.stringify(path)}: ${field}: ${firstEntry[field] ?? 'none'} here, ${secondEntry[field] ?? 'none'} there`,
        );
    }
  }
  return { differences, counts: first.counts };
}

/** Compares times with a tolerance: rounding may put nearly equal times into different steps. */
function isSameValue(field: string, a: string | undefined, b: string | undefined): boolean {
  if (a === b || a === undefined || b === undefined || field !== 'mtime') return a === b;
  const differenceNs = BigInt(a) - BigInt(b);
  return differenceNs <= TIME_TOLERANCE_NS && -differenceNs <= TIME_TOLERANCE_NS;
}

function describeTree(
  root: string,
  skip: readonly string[],
): { entries: Map<string, Description>; counts: TreeCounts } {
  const entries = new Map<string, Description>();
  const counts: TreeCounts = { files: 0, directories: 0, symlinks: 0, others: 0, bytes: 0 };
  const firstNames = new Map<bigint, string>();
  const stack = [''];
  for (let dir = stack.pop(); dir !== undefined; dir = stack.pop()) {
    for (const name of namesIn(`${root}${dir}`).sort()) {
      if (dir === '' && skip.includes(name)) continue;
      const path = `${dir}/${name}`;
      const stats = undefinedIfGone(() => {
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
  if (kind === 'symlink')
    return { ...common, target: JSON.stringify(fsDecode(readlinkSync(fsEncode(file), { encoding: 'buffer' }))) };
  const described = { ...common, mode: (Number(stats.mode) & PERMISSIONS).toString(8), xattrs: xattrText(file) };
  if (kind === 'device') return { ...described, device: String(stats.rdev) };
  if (kind !== 'file') return described;
  // The first name of an inode, in sorted order, identifies its group of hard links.
  const firstName = firstNames.get(stats.ino);
  if (firstName === undefined) firstNames.set(stats.ino, path);
  return {
    ...described,
    size: String(stats.size),
    mtime: String(stats.mtimeNs),
    links: String(stats.nlink),
    group: JSON.stringify(firstName ?? path),
    content: firstName === undefined ? contentDigest(file) : 'as the first',
  };
}

function xattrText(file: string): string {
  return [...readUserXattrs(file)]
    .map(([name, value]) => `${name}=${value.toString('base64')}`)
    .sort()
    .join(' ');
}

function contentDigest(file: string): string {
  return orIfUnreadable('EACCES', () =>
    createHash('sha1')
      .update(readFileSync(fsEncode(file)))
      .digest('hex'),
  );
}

function namesIn(dir: string): string[] {
  return (
    undefinedIfGone(() => orIfUnreadable([], () => readdirSync(fsEncode(dir), { encoding: 'buffer' }).map(fsDecode))) ??
    []
  );
}

function orIfUnreadable<T>(fallback: T, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (errnoCode(error) === 'EACCES') return fallback;
    throw error;
  }
}

/** @returns undefined if the inode or a directory above it vanishes, or changes its type, during the read */
function undefinedIfGone<T>(read: () => T): T | undefined {
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
