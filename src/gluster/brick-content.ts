// Decides whether a brick's files are the ones that clients of the volume read. If so, the worker reads them without a FUSE
// mount, at a hundredth of the cost. glusterd's volfiles list the translators between brick and client. PASSES_READS omits
// every translator that stores content elsewhere (disperse, shard, arbiter), or may refuse a read.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { errnoCode } from '../errors.js';
import { fsDecode, fsEncode } from '../names.js';

const PASSES_READS = new RegExp(
  `^(?:${[
    String.raw`storage/posix|protocol/(?:client|server)|cluster/(?:distribute|replicate)|performance/[\w-]+|debug/io-stats`,
    'features/(?:access-control|barrier|bitrot-stub|changelog|index|leases|locks|marker|namespace|quota|read-only|sdfs',
    'selinux|simple-quota|snapview-client|snapview-server|trash|upcall|utime|worm)',
  ].join('|')})$`,
);

/** How to read the files of a brick. */
export interface ContentFacts {
  /** Each file has the content that clients read. */
  readonly isPlain: boolean;
  /** Other bricks have copies, which may be newer. */
  readonly hasCopies: boolean;
  /** GlusterFS keeps the times that clients see (features.ctime) in an xattr of each file. */
  readonly keepsTimes: boolean;
}

const UNKNOWN: ContentFacts = { isPlain: false, hasCopies: true, keepsTimes: true };

/** Whether reads pass through all translators of a volfile unchanged. */
export function passesReads(volfile: string): boolean {
  const types = [...volfile.matchAll(/^\s*type\s+(\S+)/gm)].map(([, type = '']) => type);
  return types.length > 0 && types.every((type) => PASSES_READS.test(type));
}

export interface BrickContentOptions {
  readonly glusterdWorkdir: string;
  readonly volume: string;
  /** Absolute. */
  readonly brickPath: string;
}

export class BrickContent {
  readonly #dir: string;
  readonly #client: string;
  readonly #brickLine: RegExp;
  /** The last result, valid while the directory keeps this mtime. glusterd replaces a volfile to change it. */
  #known: { readonly mtimeMs: number; readonly facts: ContentFacts } | undefined;

  constructor({ glusterdWorkdir, volume, brickPath }: BrickContentOptions) {
    this.#dir = join(glusterdWorkdir, 'vols', volume);
    this.#client = `trusted-${volume}.tcp-fuse.vol`;
    this.#brickLine = new RegExp(`^\\s*option directory ${brickPath.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`)}$`, 'm');
  }

  /** Without volfiles, no file is reported as plain. Synchronous, because the volfiles are local. */
  facts(): ContentFacts {
    try {
      const { mtimeMs } = statSync(fsEncode(this.#dir));
      if (this.#known?.mtimeMs !== mtimeMs) this.#known = { mtimeMs, facts: this.#look() };
      return this.#known.facts;
    } catch (error) {
      if (errnoCode(error) === undefined) throw error;
      return UNKNOWN;
    }
  }

  #look(): ContentFacts {
    const read = (name: string): string => fsDecode(readFileSync(fsEncode(join(this.#dir, name))));
    const bricks = readdirSync(fsEncode(this.#dir), { encoding: 'buffer' }).map(fsDecode).filter((name) => name.endsWith('.vol'));
    const own = bricks.map(read).find((text) => this.#brickLine.test(text));
    const client = read(this.#client);
    const has = (type: string): boolean => new RegExp(`^\\s*type\\s+${type}$`, 'm').test(client);
    return { isPlain: own !== undefined && passesReads(own) && passesReads(client), hasCopies: has('cluster/replicate'), keepsTimes: has('features/utime') };
  }
}
