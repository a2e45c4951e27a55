// Finds geo-replication sessions on this node and reads their bricks' reports. A session is a directory with
// brick_*.status files: glusterd's, or another one that a worker was given. This module never writes, locks, or waits
// for a worker.

import { readdir, readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { errnoCode, GsyncdError } from '../errors.js';
import { fsDecode, fsEncode } from '../names.js';
import { FailureReader } from '../status/failure-summary.js';
import { brickOfStatusFile, statusFileName } from '../status/file-name.js';
import { readStatus } from '../status/status-file.js';
import { ChangelogProbe } from './changelog-backlog.js';
import { parseProgress, progressFileOf, type ProgressData } from './progress-data.js';
import { brickReport, type BrickReport } from './report.js';
import { startTicks } from './recorder.js';

export const GEOREP_DIR = '/var/lib/glusterd/geo-replication';

export interface SessionReport {
  /** Name of the session's directory. */
  readonly name: string;
  readonly directory: string;
  /** Volume names, null until a worker of this program has run. */
  readonly primary: string | null;
  readonly secondary: string | null;
  /** Content of monitor.status, null when there is none. */
  readonly monitor: string | null;
  readonly bricks: readonly BrickReport[];
}

/** A brick's report with the counters behind it, which the metrics need. */
export interface BrickReading {
  readonly report: BrickReport;
  readonly progress: ProgressData | null;
}

/**
 * Directories of the sessions that `name` selects: by a session's name, the beginning of one, or a directory. Without
 * `name`, all sessions of this node. `roots` hold the sessions' directories.
 * @throws GsyncdError 'usage' when `name` selects none
 */
export async function findSessions(name: string | undefined, roots: readonly string[]): Promise<string[]> {
  if (name !== undefined && (name.includes('/') || name === '.')) {
    const dir = resolve(name);
    if (!(await isSession(dir)))
      throw new GsyncdError(`session ${dir}: no status files of bricks there`, { code: 'usage' });
    return [dir];
  }
  const prefix = name?.replace(/(::|\s+)/g, '_').replace(/_[^_@]*@/, '_');
  const entries = await Promise.all(
    roots.map(async (root) => (await listNames(root)).sort().map((entry) => ({ entry, dir: join(root, entry) }))),
  );
  const sessions: { readonly entry: string; readonly dir: string }[] = [];
  for (const session of entries.flat())
    if ((prefix === undefined || session.entry.startsWith(prefix)) && (await isSession(session.dir)))
      sessions.push(session);
  // A volume's name may be the beginning of another's.
  const exactMatches = sessions.filter(({ entry }) => entry === prefix || entry.startsWith(`${prefix}_`));
  const found = (exactMatches.length > 0 ? exactMatches : sessions).map(({ dir }) => dir);
  if (found.length === 0 && name !== undefined)
    throw new GsyncdError(`session ${name}: not found in ${roots.join(' or ')}`, { code: 'usage' });
  return found;
}

/** The sessions in `root` that replicate the brick at `path`. @throws GsyncdError 'usage' when there is none */
export async function sessionsOfBrick(path: string, root: string): Promise<string[]> {
  const file = statusFileName(path);
  const dirs = (await listNames(root)).sort().map((name) => join(root, name));
  const found = await Promise.all(dirs.map(async (dir) => ((await listNames(dir)).includes(file) ? [dir] : [])));
  if (found.flat().length === 0) throw new GsyncdError(`session of ${path}: not found in ${root}`, { code: 'usage' });
  return found.flat();
}

async function isSession(dir: string): Promise<boolean> {
  const names = await listNames(dir);
  return names.some((entry) => brickOfStatusFile(entry) !== null || entry === 'monitor.status');
}

export class SessionReader {
  readonly directory: string;
  readonly #bricks = new Map<string, BrickReader>();

  constructor(directory: string) {
    this.directory = directory;
  }

  /** The bricks' readings, in the order of their status files' names.
   *  @param only the name of the one status file to read */
  async readBricks(only?: string): Promise<BrickReading[]> {
    const monitor = await this.#monitor();
    const names =
      only === undefined
        ? (await listNames(this.directory)).filter((name) => brickOfStatusFile(name) !== null).sort()
        : [only];
    return Promise.all(
      names.map((name) => {
        let reader = this.#bricks.get(name);
        if (reader === undefined) this.#bricks.set(name, (reader = new BrickReader(join(this.directory, name))));
        return reader.read(monitor);
      }),
    );
  }

  async read(): Promise<SessionReport> {
    const [readings, monitor] = [await this.readBricks(), await this.#monitor()];
    const progress = readings.find((reading) => reading.progress !== null)?.progress ?? null;
    return {
      name: basename(this.directory),
      directory: this.directory,
      primary: progress?.primary ?? null,
      secondary: progress?.secondary ?? null,
      monitor,
      bricks: readings.map(({ report }) => report),
    };
  }

  #monitor(): Promise<string | null> {
    return readFile(fsEncode(join(this.directory, 'monitor.status')), 'utf8').then(
      (text) => text.trim(),
      () => null,
    );
  }
}

class BrickReader {
  readonly #statusFile: string;
  readonly #brick: string;
  #probe: { dir: string; probe: ChangelogProbe } | null = null;
  #failures: { dir: string; reader: FailureReader } | null = null;

  constructor(statusFile: string) {
    this.#statusFile = statusFile;
    this.#brick = brickOfStatusFile(basename(statusFile)) ?? '';
  }

  async read(monitor: string | null): Promise<BrickReading> {
    const status = await readStatus(this.#statusFile);
    const progress = await readFile(fsEncode(progressFileOf(this.#statusFile)), 'utf8').then(parseProgress, () => null);
    const brick = progress?.brick ?? this.#brick;
    const report = brickReport({
      brick,
      status,
      monitor,
      progress,
      isWorkerRunning: progress !== null && progress.ended === null && startTicks(progress.pid) === progress.startTicks,
      changelogs: await this.#changelogs(
        progress?.changelogDir ?? join(brick, '.glusterfs', 'changelogs'),
        status.last_synced,
        progress?.caughtUp ?? 0,
      ),
      failures: progress === null ? null : await this.#failuresOf(progress.workingDir),
      nowMs: Date.now(),
    });
    return { report, progress };
  }

  /** A batch sets the stime to a second before its last changelog's end, hence the + 1. Null before the first sync is
   *  done. */
  async #changelogs(dir: string, lastSynced: number, caughtUp: number): ReturnType<ChangelogProbe['readBacklog']> {
    if (lastSynced === 0) return null;
    if (this.#probe?.dir !== dir) this.#probe = { dir, probe: new ChangelogProbe(dir) };
    return this.#probe.probe.readBacklog(Math.max(lastSynced + 1, caughtUp));
  }

  async #failuresOf(workingDir: string): ReturnType<FailureReader['read']> {
    if (this.#failures?.dir !== workingDir) this.#failures = { dir: workingDir, reader: new FailureReader(workingDir) };
    return this.#failures.reader.read();
  }
}

async function listNames(dir: string): Promise<string[]> {
  try {
    return (await readdir(fsEncode(dir), { encoding: 'buffer' })).map(fsDecode);
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw new GsyncdError(`read sessions: ${dir}: ${code ?? String(error)}`, { code: 'preflight', cause: error });
  }
}
