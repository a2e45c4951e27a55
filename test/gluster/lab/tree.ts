// Full comparison of two trees in a box, by tree.py: see there for the definition of equal. Used through Lab.
import path from 'node:path';
import type { Box } from './box.js';

/** Differing fields of one path on each side; null when it is missing there. Names in the form of src/names.ts. */
export interface TreeDifference {
  readonly path: string;
  readonly a: Readonly<Record<string, unknown>> | null;
  readonly b: Readonly<Record<string, unknown>> | null;
}

export interface TreeComparison {
  readonly equal: boolean;
  readonly entries: number;
  readonly seconds: number;
  readonly looks: number;
  /** Files whose mtimes differ below the second. */
  readonly subsecond: number;
  /** Number of paths that differ. */
  readonly total: number;
  readonly differences: readonly TreeDifference[];
}

/** Aspects to leave out of a comparison: `mtime` of files, user xattrs, ACLs, hard-link groups, link counts, device numbers, … */
export type TreeAspect = 'mtime' | 'xattrs' | 'acls' | 'links' | 'nlink' | 'rdev' | 'owner' | 'mode';

export interface CompareOptions {
  /** Repeats until the trees are equal, at most for this time. Default 0: compares once. */
  readonly waitMs?: number;
  /** Minimum time between two comparisons. Default 500. */
  readonly pollMs?: number;
  readonly ignore?: readonly TreeAspect[];
  /** 'utf8' leaves out what a name or symlink target that is not UTF-8 leads to. Default 'all'. */
  readonly names?: 'all' | 'utf8';
  /** A directory below both roots instead of the whole. */
  readonly under?: string;
  readonly signal?: AbortSignal;
  /** `POINT:HOST:VOLUME`: mounts to renew before each comparison except the first, see tree.py. */
  readonly fresh?: readonly string[];
}

/** Compares directories `a` and `b` of the box. */
export async function compareTrees(
  box: Box,
  a: string,
  b: string,
  options: CompareOptions = {},
): Promise<TreeComparison> {
  const waitMs = options.waitMs ?? 0;
  const script = path.join(import.meta.dirname, 'tree.py');
  const sides = [a, b].map((side) => path.posix.join(side, options.under ?? ''));
  const argv = [
    'python3',
    script,
    ...(options.fresh ?? []).flatMap((mount) => ['--fresh', mount]),
    ...sides,
    '--wait',
    String(waitMs / 1000),
    '--ignore',
    (options.ignore ?? []).join(','),
  ];
  if (options.pollMs !== undefined) argv.push('--poll', String(options.pollMs / 1000));
  if (options.names === 'utf8') argv.push('--only-utf8');
  const result = await box.exec(argv, {
    timeoutMs: waitMs + 300_000,
    onFailure: 'return',
    ...(options.signal && { signal: options.signal }),
  });
  if (result.stdout === '') throw new Error(`tree: comparison failed\n${result.stderr}`);
  return JSON.parse(result.stdout) as TreeComparison;
}

/** The comparison as lines for a person. */
export function describeComparison(c: TreeComparison): string {
  if (c.equal) return `equal: ${c.entries} entries`;
  const lines = c.differences.map((d) => {
    const side = d.b === null ? 'only on the primary' : d.a === null ? 'only on the secondary' : 'differs';
    return `  ${JSON.stringify(d.path)}: ${side}: ${JSON.stringify(d.a)} ${JSON.stringify(d.b)}`;
  });
  return [`${c.total} of ${c.entries} paths differ after ${c.seconds} s:`, ...lines].join('\n');
}
