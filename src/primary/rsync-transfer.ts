// Data over rsync: one run per box, from the primary's mount to the secondary's over ssh, the list of gfids on
// stdin. The command line is stock's, so a stock secondary's forced command accepts it, plus what makes rsync
// name every file it handled. Used through the rsync engine slot.

import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { GsyncdError, errnoCode } from '../errors.js';
import { gfidPath, type Gfid } from '../gluster/gfid.js';
import { SHARD_PREFIX } from '../gluster/xattr-names.js';
import { fsEncode } from '../names.js';
import { findProgram } from '../process/program.js';
import { signalNumber, within } from '../process/child.js';
import { runChild, type ChildResult } from '../process/spawn.js';
import { mapBounded } from '../process/map-bounded.js';
import { MISSING_ON_PRIMARY, type DataEngine, type EngineOutcome, type SyncOptions } from '../queue/engine.js';
import type { SyncLog } from '../queue/syncer.js';
import type { DataTarget } from '../secondary/data-target.js';
import { ITEM_FORMAT, RsyncReport, isAtLeast, isCompleteRun, directoryOfLine, parseRsyncVersion, type RsyncVersion } from './rsync-report.js';
import { orTrouble } from './trouble.js';

export interface RsyncTransferOptions {
  /** rsync-command */
  readonly command: string;
  /** rsync-options, split at white space */
  readonly userOptions: readonly string[];
  /** The whole remote shell: ssh-command, ssh-options, `-p` port, control options, rsync-ssh-options. Of no use to a
   *  target on this machine. */
  readonly sshArgv: readonly string[];
  /** rsync-opt-existing */
  readonly existing: boolean;
  /** rsync-opt-ignore-missing-args; left out for an rsync older than 3.1 */
  readonly ignoreMissingArgs: boolean;
  /** sync-xattrs. The size of a sharded file, which GlusterFS keeps in xattrs, travels either way. */
  readonly xattrs: boolean;
  readonly acls: boolean;
  /** Whether a file has xattrs or ACLs on the primary. For those that have none rsync need not look: each look is
   *  several calls on both mounts. What was removed from a file travels by `attributes: 'all'`. */
  readonly hasAttributes?: (gfid: Gfid) => Promise<boolean>;
  /** log-rsync-performance, asked at each run since it may change */
  readonly logPerformance: () => boolean;
  readonly target: DataTarget;
  /** The primary's aux-gfid-mount, asked for at each run. */
  readonly mountDir: () => string;
  readonly log: SyncLog;
}

/** How often a broken run that blames some files is repeated without them. */
const MAX_RERUNS = 3;
/** Boxes of files up to this size are sent whole: comparing costs each file an open and a read there. */
const WHOLE_FILE_BYTES = 64 << 10;
/** Fewer files without xattrs than this go with the others. */
const MIN_BARE_FILES = 50;
const STDERR_TAIL_BYTES = 8 << 10;
const LSTAT_TIMEOUT_MS = 30_000;
const VERBOSE_CHARS = 64 << 10;

/** Why syncDirectories() passed a directory over: one of the mounts does not resolve its path. */
export const NO_SUCH_DIRECTORY = 'no such directory at this path';

/** What one run of rsync sends. */
interface TransferSet {
  readonly gfids: readonly Gfid[];
  readonly compare: 'content' | 'times';
  readonly isBare: boolean;
}

export class RsyncTransfer implements DataEngine {
  readonly name = 'rsync';
  readonly #options: RsyncTransferOptions;
  #version: Promise<RsyncVersion> | undefined;

  constructor(options: RsyncTransferOptions) {
    this.#options = options;
  }

  /** @throws as DataEngine.sync says */
  async sync(gfids: readonly Gfid[], options: SyncOptions): Promise<EngineOutcome> {
    const times = options.compareTimes ?? new Set();
    const bare = await this.#bare(gfids, options);
    const sets = (['content', 'times'] as const)
      .flatMap((compare) => [true, false].map((isBare) => ({ compare, isBare })))
      .map(({ compare, isBare }) => ({ compare, isBare, gfids: gfids.filter((gfid) => times.has(gfid) === (compare === 'times') && bare.has(gfid) === isBare) }))
      .filter((set) => set.gfids.length > 0);
    if (sets.length === 0) sets.push({ compare: 'times', isBare: true, gfids: [] });
    const synced = new Set<Gfid>();
    const failed = new Map<Gfid, string>();
    let returnCode = 0;
    let bytes = 0;
    let broken: string | undefined;
    for (const set of sets) {
      const outcome = await this.#syncSet(set, options);
      for (const gfid of outcome.synced) synced.add(gfid);
      for (const [gfid, reason] of outcome.failed) failed.set(gfid, reason);
      if (returnCode === 0) returnCode = outcome.returnCode;
      bytes += outcome.bytes ?? 0;
      broken ??= outcome.broken;
    }
    return { returnCode, synced, failed, bytes, ...(broken === undefined ? {} : { broken }) };
  }

  /** Runs rsync; when the receiver died of one file's trouble (its quota, an I/O error), or others lost their xattrs to
   *  it, again without it. */
  async #syncSet(set: TransferSet, options: SyncOptions): Promise<EngineOutcome> {
    const failed = new Map<Gfid, string>();
    let rest = set.gfids;
    let bytes = 0;
    for (let rerun = 0; ; rerun += 1) {
      const { report, result } = await this.#run({ ...set, gfids: rest }, options);
      bytes += report.transferredBytes;
      const returnCode = result.exitCode ?? -signalNumber(result.signal);
      if (isCompleteRun(result.exitCode)) {
        const outcome = await this.#judge(rest, report);
        if (report.hasLostXattrs && outcome.synced.size > 0) {
          for (const [gfid, reason] of outcome.failed) failed.set(gfid, reason);
          rest = [...outcome.synced];
          if (rerun < MAX_RERUNS) continue;
          for (const gfid of rest) failed.set(gfid, 'rsync lost its xattrs together with those of another file');
          return { returnCode, synced: new Set(), failed, bytes };
        }
        return { returnCode, synced: outcome.synced, failed: new Map([...failed, ...outcome.failed]), bytes };
      }
      const culprits = rest.filter((gfid) => report.errors.has(gfid));
      for (const gfid of culprits) failed.set(gfid, report.errors.get(gfid) ?? '');
      rest = rest.filter((gfid) => !failed.has(gfid));
      if (culprits.length > 0 && rest.length > 0 && rerun < MAX_RERUNS && result.exitCode !== null && result.exitCode !== 255) continue;
      const broken = brokenReason(result);
      for (const gfid of rest) failed.set(gfid, broken);
      return { returnCode, synced: new Set(), failed, broken };
    }
  }

  /**
   * Sends the attributes of directories, given with their paths relative to the mount. The paths must be the same
   * on both sides. rsync takes what begins with `#` or `;` for a comment, hence the `./`. @throws as DataEngine.sync says
   */
  async syncDirectories(dirs: ReadonlyMap<Gfid, string>, options: SyncOptions): Promise<EngineOutcome> {
    const failed = new Map<Gfid, string>();
    const handled = new Set<string>();
    const result = await runChild(rsyncArgv(this.#options, await this.#getVersion(), 'times'), {
      cwd: this.#options.mountDir(),
      env: { LC_ALL: 'C' },
      input: Buffer.concat([...dirs.values()].flatMap((path) => [fsEncode(path === '.' ? path : `./${path}`), Buffer.of(0)])),
      stderrTailBytes: STDERR_TAIL_BYTES,
      onStdoutLine: (line) => {
        const path = directoryOfLine(line);
        if (path !== null) handled.add(path);
      },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const returnCode = result.exitCode ?? -signalNumber(result.signal);
    if (!isCompleteRun(result.exitCode)) {
      const broken = brokenReason(result);
      return { returnCode, synced: new Set(), failed: new Map([...dirs.keys()].map((gfid) => [gfid, broken])), broken };
    }
    const alone: (readonly [Gfid, string])[] = [];
    for (const dir of dirs) {
      const [gfid, path] = dir;
      if (result.exitCode === 0 || dirs.size > 1) {
        if (!handled.has(path)) failed.set(gfid, NO_SUCH_DIRECTORY);
        else if (result.exitCode !== 0) alone.push(dir);
      } else failed.set(gfid, brokenReason(result));
    }
    // Something went wrong with one of them; which one shows when each goes alone.
    for (const dir of alone) {
      for (const [gfid, reason] of (await this.syncDirectories(new Map([dir]), options)).failed) failed.set(gfid, reason);
    }
    return { returnCode, synced: new Set([...dirs.keys()].filter((gfid) => !failed.has(gfid))), failed };
  }

  /** Those of the files that have neither xattrs nor ACLs, unless they are too few to be worth a run of their own. */
  async #bare(gfids: readonly Gfid[], options: SyncOptions): Promise<Set<Gfid>> {
    const { hasAttributes } = this.#options;
    const bare = new Set<Gfid>();
    if (hasAttributes === undefined || options.attributes === 'all') return bare;
    for (const gfid of gfids) if ((await orTrouble(hasAttributes(gfid))) === false) bare.add(gfid);
    return bare.size === gfids.length || bare.size >= MIN_BARE_FILES ? bare : new Set();
  }

  async #run({ gfids, compare, isBare }: TransferSet, options: SyncOptions): Promise<{ report: RsyncReport; result: ChildResult }> {
    const { mountDir, log, userOptions, logPerformance } = this.#options;
    const argv = rsyncArgv({ ...this.#options, isBare }, await this.#getVersion(), compare, options.maxFileBytes);
    const report = new RsyncReport();
    const verbose = userOptions.some((option) => option === '--verbose' || option.startsWith('-v'));
    let said = '';
    const result = await runChild(argv, {
      cwd: mountDir(),
      env: { LC_ALL: 'C' },
      input: gfids.map((gfid) => `${gfidPath(gfid)}\0`).join(''),
      stderrTailBytes: STDERR_TAIL_BYTES,
      onStdoutLine: (line) => {
        report.stdoutLine(line);
        if (verbose && said.length < VERBOSE_CHARS) said += `${line}\n`;
      },
      onStderrLine: (line) => {
        report.stderrLine(line);
        if (options.logErrors && line !== '') log.error('SYNC Error', { sync_engine: 'Rsync', error: line });
      },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    if (logPerformance()) log.info('rsync performance', { data: report.performance.join(', ') });
    if (verbose) log.info('rsync verbose', { data: said });
    return { report, result };
  }

  /** Results of a run that went through its list. A gfid of which rsync said nothing is looked for here. */
  async #judge(gfids: readonly Gfid[], report: RsyncReport): Promise<{ synced: Set<Gfid>; failed: Map<Gfid, string> }> {
    const synced = new Set<Gfid>();
    const failed = new Map<Gfid, string>();
    const silent: Gfid[] = [];
    for (const gfid of gfids) {
      const error = report.errors.get(gfid);
      if (error !== undefined) failed.set(gfid, report.remarks.has(gfid) ? `${error} (${report.remarks.get(gfid)})` : error);
      else if (report.missing.has(gfid)) failed.set(gfid, MISSING_ON_PRIMARY);
      else if (report.itemized.has(gfid)) synced.add(gfid);
      else if (report.remarks.has(gfid)) failed.set(gfid, report.remarks.get(gfid) ?? '');
      else silent.push(gfid);
    }
    const gone = await mapBounded(silent, 16, (gfid) => isGone(this.#options.mountDir(), gfid));
    silent.forEach((gfid, i) => failed.set(gfid, gone[i] === true ? MISSING_ON_PRIMARY : 'rsync did not report it'));
    return { synced, failed };
  }

  async #getVersion(): Promise<RsyncVersion> {
    this.#version ??= this.#prepare().catch((error: unknown) => {
      this.#version = undefined;
      throw error;
    });
    return this.#version;
  }

  /** Looks for both programs once: rsync would report a missing ssh in words of its own, as a broken run. */
  async #prepare(): Promise<RsyncVersion> {
    if (this.#options.target.address !== null) await findProgram(this.#options.sshArgv[0] ?? 'ssh');
    return askVersion(this.#options.command);
  }
}

/**
 * The command line. Stock's flags come first, then the user's, then what the results are read from, so that the
 * user's cannot turn it off (and `--quiet`, which would, is left out).
 */
export function rsyncArgv(
  options: Pick<RsyncTransferOptions, 'command' | 'userOptions' | 'sshArgv' | 'existing' | 'ignoreMissingArgs' | 'xattrs' | 'acls' | 'target'> & { readonly isBare?: boolean },
  version: RsyncVersion,
  compare: 'content' | 'times',
  maxFileBytes = Infinity,
): string[] {
  const modern = isAtLeast(version, 3, 1);
  const { target } = options;
  return [
    options.command,
    '-aR0',
    '--inplace',
    '--files-from=-',
    '--super',
    '--stats',
    '--numeric-ids',
    '--no-implied-dirs',
    ...(options.existing ? ['--existing'] : []),
    ...(options.isBare === true ? [] : [...xattrOptions(options.xattrs, modern), ...(options.acls ? ['--acls'] : [])]),
    ...options.userOptions.filter((option) => option !== '-q' && option !== '--quiet'),
    ...(options.ignoreMissingArgs && modern ? ['--ignore-missing-args'] : []),
    ...compareOptions(compare, version),
    ...(maxFileBytes <= WHOLE_FILE_BYTES ? ['--whole-file'] : []),
    '-ii',
    `--out-format=${ITEM_FORMAT}`,
    ...(modern ? ['--info=skip1'] : []),
    '.',
    ...(target.address === null ? [target.directory] : ['-e', options.sshArgv.map(quoteForRsync).join(' '), `${target.address}:${target.directory}`]),
  ];
}

/** The size of a sharded file is in `trusted.glusterfs.shard.*` and nowhere else. The other xattrs of GlusterFS, such as
 *  the times that it keeps for itself, belong to each volume. Once there is a rule about xattrs, rsync no longer leaves out
 *  `system.*`, the ACLs. */
function xattrOptions(all: boolean, modern: boolean): string[] {
  if (!modern) return all ? ['--xattrs'] : [];
  const others = all ? ['--filter=-x trusted.glusterfs.*', '--filter=-x system.*'] : ['--filter=-x *'];
  return ['--xattrs', `--filter=+x ${SHARD_PREFIX}*`, ...others];
}

/** Times are compared with their fraction, where rsync can: two versions of a file may be of one second. */
function compareOptions(compare: 'content' | 'times', version: RsyncVersion): string[] {
  if (compare === 'content') return ['--ignore-times'];
  return isAtLeast(version, 3, 2) ? ['--modify-window=-1'] : [];
}

/** rsync cuts the remote shell's command at spaces, and knows quotes; a quote doubled inside is itself. */
function quoteForRsync(word: string): string {
  return /[\s'"]/.test(word) || word === '' ? `"${word.replaceAll('"', '""')}"` : word;
}

async function askVersion(command: string): Promise<RsyncVersion> {
  const result = await runChild([command, '--version'], { timeoutMs: 10_000 });
  const version = parseRsyncVersion(result.stdout.toString('latin1'));
  if (version === null) throw new GsyncdError(`run rsync: ${command} --version: no version in its output`, { code: 'preflight' });
  return version;
}

/** Whether a gfid has no file in the mount any more; false when the mount does not answer. */
async function isGone(mountDir: string, gfid: Gfid): Promise<boolean> {
  const gone = lstat(fsEncode(join(mountDir, gfidPath(gfid)))).then(
    () => false,
    (error: unknown) => ['ENOENT', 'ESTALE'].includes(errnoCode(error) ?? ''),
  );
  return (await within(gone, LSTAT_TIMEOUT_MS)) ?? false;
}

/** One line on why a run broke: the exit, and what stderr said last before rsync's own summing up. */
function brokenReason(result: ChildResult): string {
  const exit = result.exitCode === null ? `ended by ${result.signal}` : `exit ${result.exitCode}`;
  const lines = result.stderrTail.split('\n').filter((line) => line.trim() !== '');
  const causes = lines.filter((line) => !/^rsync error: |connection unexpectedly closed/.test(line));
  const tail = (causes.length > 0 ? causes : lines).slice(-3).join('; ');
  return tail === '' ? `rsync: ${exit}` : `rsync: ${exit}: ${tail}`;
}
