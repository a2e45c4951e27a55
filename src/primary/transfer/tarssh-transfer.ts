// Sends data with tar over ssh: one `tar -c | ssh tar -x` per box, from the primary's mount into the secondary's. It sends
// whole files without comparing, which is fast for many small ones. Extraction overwrites in place, since the inodes must
// stay: --overwrite opens with O_TRUNC and rewrites. With --xattrs, however, GNU tar replaces a file by a new one to set
// them, which gfid access rejects. So tar does not write xattrs: if a box has any, another engine sends them in a second
// pass.

import { gfidPath, type Gfid } from '../../protocol/gfid.js';
import { SHARD_PREFIX } from '../../gluster/xattr-names.js';
import { signalNumber } from '../../process/child.js';
import { pipeline } from '../../process/spawn.js';
import { MISSING_ON_PRIMARY, type DataEngine, type EngineOutcome, type SyncOptions } from '../../queue/engine.js';
import type { SyncLog } from '../../queue/syncer.js';
import type { DataTarget } from '../../protocol/data-target.js';
import { explainLine, TarReport } from './tar-report.js';
import { tryInode } from '../inode-error.js';

export interface TarsshTransferOptions {
  /** Local tar, normally `tar`. */
  readonly command: string;
  /** The whole remote shell without the host: ssh-command, ssh-options-tar, `-p` port, control options. */
  readonly sshArgv: readonly string[];
  /** Sends xattrs of files with equal content and times: an rsync. */
  readonly attributes?: DataEngine;
  /** sync-xattrs. The size of a sharded file, which GlusterFS keeps in xattrs, is sent in any case. */
  readonly xattrs: boolean;
  readonly acls: boolean;
  /** Whether a file has xattrs or ACLs on the primary. If no file of a box has any, tar does not read them. */
  readonly hasAttributes?: (gfid: Gfid) => Promise<boolean>;
  readonly target: DataTarget;
  /** Directory of the primary's aux-gfid-mount, read at each run since it may change. */
  readonly mountDir: () => string;
  readonly log: SyncLog;
}

/** In files up to this size, finding holes costs more than sending them. */
const SMALL_FILE_BYTES = 64 << 10;
/** Larger than tar's default of 10 KiB: content that spans two records is written in two calls on the secondary's mount. */
const RECORD_SIZE = '--record-size=64K';
/** Stock does not log a vanished file as an error. */
const UNLOGGED_ERROR = 'No such file or directory';

export class TarsshTransfer implements DataEngine {
  readonly name = 'tarssh';
  readonly #options: TarsshTransferOptions;

  constructor(options: TarsshTransferOptions) {
    this.#options = options;
  }

  async #hasAnyAttributes(gfids: readonly Gfid[]): Promise<boolean> {
    const { hasAttributes } = this.#options;
    if (hasAttributes === undefined) return true;
    for (const gfid of gfids) if ((await tryInode(hasAttributes(gfid))) !== false) return true;
    return false;
  }

  /** @throws as DataEngine.sync says */
  async sync(gfids: readonly Gfid[], options: SyncOptions): Promise<EngineOutcome> {
    const { mountDir, log } = this.#options;
    const report = new TarReport();
    const flags = (await this.#hasAnyAttributes(gfids))
      ? this.#options
      : { ...this.#options, acls: false, attributes: undefined };
    const logError = (line: string): void => {
      if (options.logErrors && line !== '')
        log.error('SYNC Error', { sync_engine: 'Tarssh', error: explainLine(line.trimEnd()) });
    };
    const xattrFinder = new TextFinder('SCHILY.xattr.');
    const { a, b, bytes } = await pipeline(packArgv(flags, options.maxFileBytes), unpackArgv(flags), {
      cwdA: mountDir(),
      envA: { LC_ALL: 'C' },
      inputA: gfids.map((gfid) => `${gfidPath(gfid)}\n`).join(''),
      onStderrLineA: (line) => {
        report.localLine(line);
        if (!line.includes(UNLOGGED_ERROR)) logError(line);
      },
      onStderrLineB: (line) => {
        report.remoteLine(line);
        logError(line);
      },
      onData: (chunk) => xattrFinder.push(chunk),
      signal: options.signal,
    });
    const broken = report.brokenReason(a, b);
    const synced = new Set<Gfid>();
    const failed = new Map<Gfid, string>();
    for (const gfid of gfids) {
      const reason = report.missing.has(gfid) ? MISSING_ON_PRIMARY : (report.errors.get(gfid) ?? broken);
      if (reason === undefined) synced.add(gfid);
      else failed.set(gfid, reason);
    }
    const returnCode = b.code ?? -signalNumber(b.signal);
    if (this.#options.attributes !== undefined && xattrFinder.isFound && synced.size > 0) {
      const attributesOutcome = await this.#options.attributes.sync([...synced], {
        ...options,
        attributes: 'all',
        compareTimes: synced,
      });
      return {
        returnCode: returnCode === 0 ? attributesOutcome.returnCode : returnCode,
        synced: attributesOutcome.synced,
        failed: new Map([...failed, ...attributesOutcome.failed]),
        bytes: bytes + (attributesOutcome.bytes ?? 0),
        broken: broken ?? attributesOutcome.broken,
      };
    }
    return { returnCode, synced, failed, bytes, broken };
  }
}

/** Finds a text in a stream. If only file data contains it, the second pass finds nothing to do. */
class TextFinder {
  isFound = false;
  readonly #text: Buffer;
  #tail = Buffer.alloc(0);

  constructor(text: string) {
    this.#text = Buffer.from(text);
  }

  push(chunk: Buffer): void {
    if (this.isFound) return;
    const overlap = this.#text.length - 1;
    this.isFound =
      chunk.includes(this.#text) || Buffer.concat([this.#tail, chunk.subarray(0, overlap)]).includes(this.#text);
    this.#tail = Buffer.concat([this.#tail, chunk.subarray(-overlap)]).subarray(-overlap);
  }
}

/** The posix format keeps fractions of seconds, large ids and xattrs. User names of the primary mean nothing on the secondary. */
export function packArgv(
  options: Pick<TarsshTransferOptions, 'command' | 'attributes' | 'xattrs' | 'acls'>,
  maxFileBytes = Infinity,
): string[] {
  return [
    options.command,
    ...(maxFileBytes <= SMALL_FILE_BYTES ? [] : ['--sparse']),
    '--no-recursion',
    '--format=posix',
    '--pax-option=delete=atime,delete=ctime',
    '--numeric-owner',
    ...(options.attributes === undefined
      ? []
      : ['--xattrs', ...(options.xattrs ? ['--xattrs-include=user.*'] : []), `--xattrs-include=${SHARD_PREFIX}*`]),
    ...(options.acls ? ['--acls'] : []),
    RECORD_SIZE,
    '-cf',
    '-',
    '--files-from',
    '-',
  ];
}

/** The secondary's forced command splits this at spaces and runs `tar` with the words after the first. So no word may need
 *  quotes. */
export function unpackArgv(options: Pick<TarsshTransferOptions, 'command' | 'sshArgv' | 'acls' | 'target'>): string[] {
  const { address } = options.target;
  return [
    // On this machine the worker may run as an ordinary user, whose tar would apply the umask.
    ...(address === null ? [options.command, '--same-permissions'] : [...options.sshArgv, address, 'tar']),
    '--overwrite',
    ...(options.acls ? ['--acls'] : []),
    RECORD_SIZE,
    '-xf',
    '-',
    '-C',
    options.target.directory,
  ];
}
