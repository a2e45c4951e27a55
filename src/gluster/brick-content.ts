// Decides whether a brick's files are the ones that clients of the volume read. If so, the worker reads them without a FUSE
// mount, at a hundredth of the cost. glusterd's volfiles list the translators between brick and client. PASS_THROUGH_TYPES
// omits every translator that stores content elsewhere (disperse, shard, arbiter), or may refuse a read.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { errnoCode } from '../errors.js';
import { fsDecode, fsEncode } from '../names.js';

const PASS_THROUGH_TYPES = new RegExp(
  `^(?:${[
    String.raw`storage/posix|protocol/(?:client|server)|cluster/(?:distribute|replicate)|performance/[\w-]+|debug/io-stats`,
    'features/(?:access-control|barrier|bitrot-stub|changelog|index|leases|locks|marker|namespace|quota|read-only|sdfs',
    'selinux|simple-quota|snapview-client|snapview-server|trash|upcall|utime|worm)',
  ].join('|')})$`,
);

/** How to read the files of a brick. */
export interface ContentFacts {
  /** Each file has the content that clients read. */
  readonly hasClientContent: boolean;
  /** Other bricks have copies, which may be newer. */
  readonly hasCopies: boolean;
  /** GlusterFS keeps the times that clients see (features.ctime) in an xattr of each file. */
  readonly hasXattrTimes: boolean;
}

const UNKNOWN: ContentFacts = { hasClientContent: false, hasCopies: true, hasXattrTimes: true };

/** Whether reads pass through all translators of a volfile unchanged. */
export function isReadPassThrough(volfile: string): boolean {
  const types = [...volfile.matchAll(/^\s*type\s+(\S+)/gm)].map(([, type = '']) => type);
  return types.length > 0 && types.every((type) => PASS_THROUGH_TYPES.test(type));
}

export interface BrickContentOptions {
  readonly glusterdWorkdir: string;
  readonly volume: string;
  /** Absolute. */
  readonly brickPath: string;
}

export class BrickContent {
  readonly #dir: string;
  readonly #clientVolfile: string;
  readonly #brickLine: RegExp;
  /** The last result, valid while the directory keeps this mtime. glusterd replaces a volfile to change it. */
  #cached: { readonly mtimeMs: number; readonly facts: ContentFacts } | undefined;

  constructor({ glusterdWorkdir, volume, brickPath }: BrickContentOptions) {
    this.#dir = join(glusterdWorkdir, 'vols', volume);
    this.#clientVolfile = `trusted-${volume}.tcp-fuse.vol`;
    this.#brickLine = new RegExp(
      `^\\s*option directory ${brickPath.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`)}$`,
      'm',
    );
  }

  /** Without volfiles, no file is reported to have the clients' content. Synchronous, because the volfiles are local. */
  inspect(): ContentFacts {
    try {
      const { mtimeMs } = statSync(fsEncode(this.#dir));
      if (this.#cached?.mtimeMs !== mtimeMs) this.#cached = { mtimeMs, facts: this.#readVolfiles() };
      return this.#cached.facts;
    } catch (error) {
      if (errnoCode(error) === undefined) throw error;
      return UNKNOWN;
    }
  }

  #readVolfiles(): ContentFacts {
    const read = (name: string): string => fsDecode(readFileSync(fsEncode(join(this.#dir, name))));
    const bricks = readdirSync(fsEncode(this.#dir), { encoding: 'buffer' })
      .map(fsDecode)
      .filter((name) => name.endsWith('.vol'));
    const own = bricks.map(read).find((text) => this.#brickLine.test(text));
    const client = read(this.#clientVolfile);
    const hasTranslator = (type: string): boolean => new RegExp(`^\\s*type\\s+${type}$`, 'm').test(client);
    return {
      hasClientContent: own !== undefined && isReadPassThrough(own) && isReadPassThrough(client),
      hasCopies: hasTranslator('cluster/replicate'),
      hasXattrTimes: hasTranslator('features/utime'),
    };
  }
}
