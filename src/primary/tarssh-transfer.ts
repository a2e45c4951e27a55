// Data over tar and ssh: one `tar -c | ssh tar -x` per box, from the primary's mount into the secondary's. It
// sends whole files without comparing, which is quick for many small ones. Used through the tarssh engine slot.
// Extraction overwrites in place, since the inodes must stay: --overwrite opens with O_TRUNC and rewrites.

import { gfidPath, type Gfid } from '../gluster/gfid.js';
import { signalNumber } from '../process/child.js';
import { pipeline } from '../process/spawn.js';
import { MISSING_ON_PRIMARY, type DataEngine, type EngineOutcome, type SyncOptions } from '../queue/engine.js';
import type { SyncLog } from '../queue/syncer.js';
import type { DataTarget } from '../secondary/data-target.js';
import { TarReport } from './tar-report.js';

export interface TarsshTransferOptions {
  /** Local tar, normally `tar`. */
  readonly command: string;
  /** The whole remote shell without the host: ssh-command, ssh-options-tar, `-p` port, control options. */
  readonly sshArgv: readonly string[];
  readonly xattrs: boolean;
  readonly acls: boolean;
  readonly target: DataTarget;
  /** The primary's aux-gfid-mount. */
  readonly mountDir: string;
  readonly log: SyncLog;
}

/** Stock logs a file that vanished as no error. */
const NOT_LOGGED = 'No such file or directory';

export class TarsshTransfer implements DataEngine {
  readonly name = 'tarssh';
  readonly #options: TarsshTransferOptions;

  constructor(options: TarsshTransferOptions) {
    this.#options = options;
  }

  /** @throws as DataEngine.sync says */
  async sync(gfids: readonly Gfid[], options: SyncOptions): Promise<EngineOutcome> {
    const { mountDir, log } = this.#options;
    const report = new TarReport();
    const complain = (line: string): void => {
      if (options.logErrors && line !== '') log.error('SYNC Error', { sync_engine: 'Tarssh', error: line });
    };
    const { a, b, bytes } = await pipeline(packArgv(this.#options), unpackArgv(this.#options), {
      cwdA: mountDir,
      envA: { LC_ALL: 'C' },
      inputA: gfids.map((gfid) => `${gfidPath(gfid)}\n`).join(''),
      onStderrLineA: (line) => {
        report.localLine(line);
        if (!line.includes(NOT_LOGGED)) complain(line);
      },
      onStderrLineB: (line) => {
        report.remoteLine(line);
        complain(line);
      },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const broken = report.broken(a, b);
    const synced = new Set<Gfid>();
    const failed = new Map<Gfid, string>();
    for (const gfid of gfids) {
      const reason = report.missing.has(gfid) ? MISSING_ON_PRIMARY : (report.errors.get(gfid) ?? broken);
      if (reason === undefined) synced.add(gfid);
      else failed.set(gfid, reason);
    }
    const returnCode = b.code ?? -signalNumber(b.signal);
    return { returnCode, synced, failed, bytes, ...(broken === undefined ? {} : { broken }) };
  }
}

/** posix format keeps fractions of seconds, large ids and xattrs; names of users are nothing to the secondary. */
export function packArgv(options: Pick<TarsshTransferOptions, 'command' | 'xattrs' | 'acls'>): string[] {
  return [
    options.command,
    '--sparse',
    '--no-recursion',
    '--format=posix',
    '--pax-option=delete=atime,delete=ctime',
    '--numeric-owner',
    ...(options.xattrs ? ['--xattrs', '--xattrs-include=user.*'] : []),
    ...(options.acls ? ['--acls'] : []),
    '-cf',
    '-',
    '--files-from',
    '-',
  ];
}

/** The secondary's forced command cuts this at spaces and runs `tar` with what follows the first word, so no
 *  word may need quotes. */
export function unpackArgv(options: Pick<TarsshTransferOptions, 'sshArgv' | 'xattrs' | 'acls' | 'target'>): string[] {
  return [
    ...options.sshArgv,
    options.target.address,
    'tar',
    '--overwrite',
    ...(options.xattrs ? ['--xattrs'] : []),
    ...(options.acls ? ['--acls'] : []),
    '-xf',
    '-',
    '-C',
    options.target.directory,
  ];
}
