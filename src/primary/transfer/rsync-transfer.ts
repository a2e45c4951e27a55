// Sends data with rsync from the primary's mount to the secondary's over ssh. One run takes a set of files with equal
// options, with the gfids on stdin. The command line is stock's, so that a stock secondary's forced command accepts it, plus
// the options that make rsync report every file.

import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { GsyncdError, errnoCode, isGsyncdError } from '../../errors.js';
import { gfidPath, type Gfid } from '../../protocol/gfid.js';
import { fsEncode } from '../../names.js';
import { findProgram } from '../../process/program.js';
import { signalNumber, within } from '../../process/child.js';
import { runChild, type ChildResult } from '../../process/spawn.js';
import { mapBounded } from '../../async/map-bounded.js';
import { MISSING_ON_PRIMARY, type DataEngine, type EngineOutcome, type SyncOptions } from '../../queue/engine.js';
import type { SyncLog } from '../../queue/syncer.js';
import { rsyncArgv, type RsyncCommand } from './rsync-argv.js';
import {
  RsyncReport,
  isCompleteRun,
  parseDirectoryLine,
  parseRsyncVersion,
  type RsyncVersion,
} from './rsync-report.js';
import { tryInode } from '../inode-error.js';

export interface RsyncTransferOptions extends RsyncCommand {
  /** Whether a file has xattrs or ACLs on the primary. If it has none, rsync need not read them, which saves several calls on
   *  both mounts. Removed xattrs are sent with `attributes: 'all'`. */
  readonly hasAttributes?: (gfid: Gfid) => Promise<boolean>;
  /** Sends files that are mostly holes. rsync reads and sends every byte of a hole. Absent: rsync sends them. */
  readonly holeEngine?: DataEngine;
  /** log-rsync-performance, read at each run since it may change. */
  readonly logPerformance: () => boolean;
  /** Directory of the primary's aux-gfid-mount, read at each run since it may change. */
  readonly mountDir: () => string;
  readonly log: SyncLog;
}

/** Limit for repeating a broken run without the files that its errors name. */
const MAX_RERUNS = 3;
const SPARSE_REFUSED = /--sparse cannot be used with --inplace/;
/** If there are fewer files without xattrs, they go with the others. */
const MIN_BARE_FILES = 50;
const STDERR_TAIL_BYTES = 8 << 10;
const LSTAT_TIMEOUT_MS = 30_000;
const MAX_VERBOSE_CHARS = 64 << 10;

/** Reason of a directory that syncDirectories() skipped: one of the mounts does not resolve its path. */
export const NO_SUCH_DIRECTORY = 'no such directory at this path';

/** The files and options of one run of rsync. */
interface TransferSet {
  readonly gfids: readonly Gfid[];
  readonly compare: 'content' | 'times';
  readonly isBare: boolean;
  readonly isSparse: boolean;
}

export class RsyncTransfer implements DataEngine {
  readonly name = 'rsync';
  readonly #options: RsyncTransferOptions;
  #version: Promise<RsyncVersion> | undefined;
  /** False once the secondary's rsync, older than 3.1.3, has refused --sparse with --inplace. */
  #isSparseAccepted = true;

  constructor(options: RsyncTransferOptions) {
    this.#options = options;
  }

  /** @throws as DataEngine.sync says */
  async sync(gfids: readonly Gfid[], options: SyncOptions): Promise<EngineOutcome> {
    const synced = new Set<Gfid>();
    const failed = new Map<Gfid, string>();
    let returnCode = 0;
    let bytes = 0;
    let broken: string | undefined;
    const outcomes = [];
    const holeOutcome = await this.#syncHoles(gfids, options);
    if (holeOutcome !== null) outcomes.push(holeOutcome);
    const remaining = gfids.filter(
      (gfid) => holeOutcome?.synced.has(gfid) !== true && holeOutcome?.failed.has(gfid) !== true,
    );
    if (remaining.length > 0 || holeOutcome === null)
      for (const set of await this.#groupByOptions(remaining, options))
        outcomes.push(await this.#syncSet(set, options));
    for (const outcome of outcomes) {
      for (const gfid of outcome.synced) synced.add(gfid);
      for (const [gfid, reason] of outcome.failed) failed.set(gfid, reason);
      if (returnCode === 0) returnCode = outcome.returnCode;
      bytes += outcome.bytes ?? 0;
      broken ??= outcome.broken;
    }
    return { returnCode, synced, failed, bytes, broken };
  }

  /** Divides files into runs with different options. @returns one empty run when there are no files */
  async #groupByOptions(gfids: readonly Gfid[], options: SyncOptions): Promise<TransferSet[]> {
    const bare = await this.#findBare(gfids, options);
    const sets = new Map<string, TransferSet & { gfids: Gfid[] }>();
    for (const gfid of gfids) {
      const compare = options.compareTimes?.has(gfid) === true ? 'times' : 'content';
      const set = {
        compare,
        isBare: bare.has(gfid),
        isSparse: options.attributes !== 'all' && options.holes?.has(gfid) === true,
      } as const;
      const key = JSON.stringify(set);
      const group = sets.get(key) ?? { ...set, gfids: [] };
      sets.set(key, group);
      group.gfids.push(gfid);
    }
    return sets.size > 0 ? [...sets.values()] : [{ compare: 'times', isBare: true, isSparse: false, gfids: [] }];
  }

  /** Sends those of the files that are mostly holes. @returns null when there are none, or the hole engine does not work */
  async #syncHoles(gfids: readonly Gfid[], options: SyncOptions): Promise<EngineOutcome | null> {
    const { holeEngine } = this.#options;
    const files = options.attributes === 'all' ? [] : gfids.filter((gfid) => options.holes?.get(gfid) === 'most');
    if (holeEngine === undefined || files.length === 0) return null;
    try {
      const outcome = await holeEngine.sync(files, options);
      if (outcome.broken !== undefined) return null;
      const sent = [...outcome.synced];
      if (sent.length === 0 || (await this.#findBare(sent, options)).size === sent.length) return outcome;
      const attributes = await this.sync(sent, { ...options, attributes: 'all', compareTimes: outcome.synced });
      return {
        ...attributes,
        failed: new Map([...outcome.failed, ...attributes.failed]),
        bytes: (outcome.bytes ?? 0) + (attributes.bytes ?? 0),
      };
    } catch (error) {
      if (isGsyncdError(error, 'stopped')) throw error;
      return null;
    }
  }

  /** Runs rsync. If one file's error (its quota, an I/O error) ended the receiver, or made other files lose their xattrs,
   *  repeats the run without that file. */
  async #syncSet(set: TransferSet, options: SyncOptions): Promise<EngineOutcome> {
    const failed = new Map<Gfid, string>();
    let remaining = set.gfids;
    let bytes = 0;
    for (let rerun = 0; ; rerun += 1) {
      const { report, result } = await this.#run({ ...set, gfids: remaining }, options);
      bytes += report.transferredBytes;
      const returnCode = result.exitCode ?? -signalNumber(result.signal);
      if (isCompleteRun(result.exitCode)) {
        const outcome = await this.#classifyResults(remaining, report);
        if (report.hasLostXattrs && outcome.synced.size > 0) {
          for (const [gfid, reason] of outcome.failed) failed.set(gfid, reason);
          remaining = [...outcome.synced];
          if (rerun < MAX_RERUNS) continue;
          for (const gfid of remaining) failed.set(gfid, 'rsync could not set the xattrs of a file of the same run');
          return { returnCode, synced: new Set(), failed, bytes };
        }
        return { returnCode, synced: outcome.synced, failed: new Map([...failed, ...outcome.failed]), bytes };
      }
      if (set.isSparse && this.#isSparseAccepted && SPARSE_REFUSED.test(result.stderrTail)) {
        this.#isSparseAccepted = false;
        continue;
      }
      const failedItems = remaining.filter((gfid) => report.errors.has(gfid));
      for (const gfid of failedItems) failed.set(gfid, report.errors.get(gfid) ?? '');
      remaining = remaining.filter((gfid) => !failed.has(gfid));
      if (
        failedItems.length > 0 &&
        remaining.length > 0 &&
        rerun < MAX_RERUNS &&
        result.exitCode !== null &&
        result.exitCode !== 255
      )
        continue;
      const broken = brokenReason(result);
      for (const gfid of remaining) failed.set(gfid, broken);
      return { returnCode, synced: new Set(), failed, broken };
    }
  }

  /**
   * Sends the attributes of directories by their paths relative to the mount, which must be equal on both sides. rsync takes
   * a line that begins with `#` or `;` for a comment, hence the `./`. @throws as DataEngine.sync says
   */
  async syncDirectories(dirs: ReadonlyMap<Gfid, string>, options: SyncOptions): Promise<EngineOutcome> {
    const failed = new Map<Gfid, string>();
    const itemizedPaths = new Set<string>();
    const result = await runChild(rsyncArgv(this.#options, await this.#getVersion(), { compare: 'times' }), {
      cwd: this.#options.mountDir(),
      env: { LC_ALL: 'C' },
      input: Buffer.concat(
        [...dirs.values()].flatMap((path) => [fsEncode(path === '.' ? path : `./${path}`), Buffer.of(0)]),
      ),
      stderrTailBytes: STDERR_TAIL_BYTES,
      onStdoutLine: (line) => {
        const path = parseDirectoryLine(line);
        if (path !== null) itemizedPaths.add(path);
      },
      signal: options.signal,
    });
    const returnCode = result.exitCode ?? -signalNumber(result.signal);
    if (!isCompleteRun(result.exitCode)) {
      const broken = brokenReason(result);
      return { returnCode, synced: new Set(), failed: new Map([...dirs.keys()].map((gfid) => [gfid, broken])), broken };
    }
    const suspects: [Gfid, string][] = [];
    for (const [gfid, path] of dirs) {
      if (!itemizedPaths.has(path) && (result.exitCode === 0 || dirs.size > 1)) failed.set(gfid, NO_SUCH_DIRECTORY);
      else if (result.exitCode !== 0) suspects.push([gfid, path]);
    }
    if (dirs.size === 1) for (const [gfid] of suspects) failed.set(gfid, brokenReason(result));
    else if (suspects.length > 0) {
      // Some directory failed. Runs of smaller groups show which one.
      const middle = suspects.length >> 1;
      const groups = failed.size > 0 ? [suspects] : [suspects.slice(0, middle), suspects.slice(middle)];
      for (const group of groups)
        for (const [gfid, reason] of (await this.syncDirectories(new Map(group), options)).failed)
          failed.set(gfid, reason);
    }
    return { returnCode, synced: new Set([...dirs.keys()].filter((gfid) => !failed.has(gfid))), failed };
  }

  /** @returns the files without xattrs and ACLs; none when they are too few for a separate run */
  async #findBare(gfids: readonly Gfid[], options: SyncOptions): Promise<Set<Gfid>> {
    const { hasAttributes } = this.#options;
    const bare = new Set<Gfid>();
    if (hasAttributes === undefined || options.attributes === 'all') return bare;
    for (const gfid of gfids) if ((await tryInode(hasAttributes(gfid))) === false) bare.add(gfid);
    return bare.size === gfids.length || bare.size >= MIN_BARE_FILES ? bare : new Set();
  }

  async #run(
    { gfids, compare, isBare, isSparse }: TransferSet,
    options: SyncOptions,
  ): Promise<{ report: RsyncReport; result: ChildResult }> {
    const { mountDir, log, userOptions, logPerformance } = this.#options;
    const argv = rsyncArgv(this.#options, await this.#getVersion(), {
      compare,
      isBare,
      isSparse: isSparse && this.#isSparseAccepted,
      maxFileBytes: options.maxFileBytes,
    });
    const report = new RsyncReport();
    const isVerbose = userOptions.some((option) => option === '--verbose' || option.startsWith('-v'));
    let verboseOutput = '';
    const result = await runChild(argv, {
      cwd: mountDir(),
      env: { LC_ALL: 'C' },
      input: gfids.map((gfid) => `${gfidPath(gfid)}\0`).join(''),
      stderrTailBytes: STDERR_TAIL_BYTES,
      onStdoutLine: (line) => {
        report.stdoutLine(line);
        if (isVerbose && verboseOutput.length < MAX_VERBOSE_CHARS) verboseOutput += `${line}\n`;
      },
      onStderrLine: (line) => {
        report.stderrLine(line);
        if (options.logErrors && line !== '') log.error('SYNC Error', { sync_engine: 'Rsync', error: line });
      },
      signal: options.signal,
    });
    if (logPerformance()) log.info('rsync performance', { data: report.performance.join(', ') });
    if (isVerbose) log.info('rsync verbose', { data: verboseOutput });
    return { report, result };
  }

  /** @returns the results of a complete run. A gfid that rsync did not report is looked up on the primary's mount */
  async #classifyResults(
    gfids: readonly Gfid[],
    report: RsyncReport,
  ): Promise<{ synced: Set<Gfid>; failed: Map<Gfid, string> }> {
    const synced = new Set<Gfid>();
    const failed = new Map<Gfid, string>();
    const unreported: Gfid[] = [];
    for (const gfid of gfids) {
      const error = report.errors.get(gfid);
      if (error !== undefined)
        failed.set(gfid, report.remarks.has(gfid) ? `${error} (${report.remarks.get(gfid)})` : error);
      else if (report.missing.has(gfid)) failed.set(gfid, MISSING_ON_PRIMARY);
      else if (report.itemized.has(gfid)) synced.add(gfid);
      else if (report.remarks.has(gfid)) failed.set(gfid, report.remarks.get(gfid) ?? '');
      else unreported.push(gfid);
    }
    const areGone = await mapBounded(unreported, 16, (gfid) => isGone(this.#options.mountDir(), gfid));
    unreported.forEach((gfid, i) =>
      failed.set(gfid, areGone[i] === true ? MISSING_ON_PRIMARY : 'rsync did not report it'),
    );
    return { synced, failed };
  }

  async #getVersion(): Promise<RsyncVersion> {
    this.#version ??= this.#prepare().catch((error: unknown) => {
      this.#version = undefined;
      throw error;
    });
    return this.#version;
  }

  /** Finds both programs once. rsync would report a missing ssh as a broken run. */
  async #prepare(): Promise<RsyncVersion> {
    if (this.#options.target.address !== null) await findProgram(this.#options.sshArgv[0] ?? 'ssh');
    return readVersion(this.#options.command);
  }
}

async function readVersion(command: string): Promise<RsyncVersion> {
  const result = await runChild([command, '--version'], { timeoutMs: 10_000 });
  const version = parseRsyncVersion(result.stdout.toString('latin1'));
  if (version === null)
    throw new GsyncdError(`run rsync: ${command} --version: no version in its output`, { code: 'preflight' });
  return version;
}

/** Whether a gfid is gone from the mount; false when the mount does not answer. */
async function isGone(mountDir: string, gfid: Gfid): Promise<boolean> {
  const gone = lstat(fsEncode(join(mountDir, gfidPath(gfid)))).then(
    () => false,
    (error: unknown) => ['ENOENT', 'ESTALE'].includes(errnoCode(error) ?? ''),
  );
  return (await within(gone, LSTAT_TIMEOUT_MS)) ?? false;
}

/** @returns one line: the exit, and the last lines of stderr before rsync's summary */
function brokenReason(result: ChildResult): string {
  const exit = result.exitCode === null ? `ended by ${result.signal}` : `exit ${result.exitCode}`;
  const lines = result.stderrTail.split('\n').filter((line) => line.trim() !== '');
  const causes = lines.filter((line) => !/^rsync error: |connection unexpectedly closed/.test(line));
  const tail = (causes.length > 0 ? causes : lines).slice(-3).join('; ');
  return tail === '' ? `rsync: ${exit}` : `rsync: ${exit}: ${tail}`;
}
