// Decides whether the files of a brick are what clients of the volume read. Then the worker can read a file without
// a FUSE mount, which costs a hundredth. glusterd's volfiles list the translators between the brick's files and a
// client. A translator that keeps content elsewhere (disperse, shard, arbiter), or may refuse a read, is not in this list.

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

/** How the files of a brick are to be read. */
export interface ContentFacts {
  /** Each file is what clients read. */
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
  /** The answer, and the time of the directory's last change when it was found. glusterd replaces a volfile to change it. */
  #known: { readonly mtimeMs: number; readonly facts: ContentFacts } | undefined;

  constructor({ glusterdWorkdir, volume, brickPath }: BrickContentOptions) {
    this.#dir = join(glusterdWorkdir, 'vols', volume);
    this.#client = `trusted-${volume}.tcp-fuse.vol`;
    this.#brickLine = new RegExp(`^\\s*option directory ${brickPath.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`)}$`, 'm');
  }

  /** Nothing is plain where the volfiles cannot be found. Synchronous: the files are local. */
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
