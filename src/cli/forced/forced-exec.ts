// Runs the program as an ssh forced command: it becomes what the decision allows. rsync, tar, gluster and the
// secondary replace this process, so it does not stand between them and the data. /proc then shows the secondary's
// command line, by which an rsync of the same connection finds it.

import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { errorLine } from '../../errors.js';
import { fsDecode } from '../../names.js';
import { enterRemovedDirectory } from '../../process/removed-directory.js';
import {
  decideForcedCommand,
  isStillSession,
  type ForcedDecision,
  type ProcessEntry,
  type ProcessView,
} from './forced-command.js';
import { CommandExit } from '../exit.js';
import { DISPATCHED_ENV, type ForcedLine } from './forced-command-line.js';
import { findGluster } from '../gluster-program.js';
import { enterSessionMount } from './session-mount.js';

const EXIT_NOT_STARTED = 127;

/** Becomes the program that `line` asks for, if that is allowed.
 *  @throws CommandExit with one line: 1 when it is not allowed, 127 when the program cannot be started */
export async function runForcedCommand({ line, limits }: ForcedLine): Promise<void> {
  const env = rawEnvironment();
  // Node decodes its environment as UTF-8, but a brick's path may not be UTF-8.
  const exactLine = env['SSH_ORIGINAL_COMMAND'] ?? line;
  const decision = decideForcedCommand(exactLine, PROC_VIEW, limits);
  if (decision.run === 'nothing') throw new CommandExit(1, `gsyncd-ts: ${decision.why}`);
  if ('session' in decision) enterSessionMountOf(decision.session, () => isStillSession(decision, PROC_VIEW, limits));
  const { replaceProcess } = await import('../../native/libc.js');
  const [file, argv] = await programOf(decision);
  try {
    if (decision.run === 'gsyncd') enterRemovedDirectory();
    replaceProcess(file, argv, { ...env, [DISPATCHED_ENV]: '1', TAR_OPTIONS: undefined });
  } catch (error) {
    throw new CommandExit(EXIT_NOT_STARTED, `gsyncd-ts: ${errorLine(error)}`);
  }
}

async function programOf({
  run,
  args,
}: Exclude<ForcedDecision, { run: 'nothing' }>): Promise<readonly [string, readonly string[]]> {
  if (run === 'gsyncd')
    return [process.execPath, [process.execPath, ...process.execArgv, process.argv[1] ?? '', ...args]];
  return [run === 'gluster' ? await findGluster() : run, [run, ...args]];
}

/** Enters the mount of the secondary `pid`.
 *  @param isSession called again once the process's directory is open
 *  @throws CommandExit when there is no such mount */
function enterSessionMountOf(pid: number, isSession: () => boolean): void {
  try {
    enterSessionMount(pid, isSession);
  } catch (error) {
    throw new CommandExit(1, `gsyncd-ts: disallowed transfer: ${errorLine(error)}`);
  }
}

function rawEnvironment(): Record<string, string> {
  const pairs = fsDecode(readFileSync('/proc/self/environ')).split('\0');
  return Object.fromEntries(
    pairs.flatMap((pair) => {
      const at = pair.indexOf('=');
      return at > 0 ? [[pair.slice(0, at), pair.slice(at + 1)] as const] : [];
    }),
  );
}

/** A view of /proc, read on demand. It shows a process that has ended as one that does not exist. */
const PROC_VIEW: ProcessView = {
  self: process.pid,
  entry(pid): ProcessEntry | undefined {
    const status = valueOrUndefined(() => readFileSync(`/proc/${pid}/status`, 'latin1'));
    if (status === undefined) return undefined;
    const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
    // Uid: real, effective, saved, file system.
    return { pid, parent: Number(field('PPid')), name: field('Name'), uid: Number(field('Uid').split(/\s+/)[1]) };
  },
  childrenOf(parent) {
    const pids = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
    return pids.filter((pid) => PROC_VIEW.entry(pid)?.parent === parent);
  },
  commandLine(pid) {
    const bytes = valueOrUndefined(() => readFileSync(`/proc/${pid}/cmdline`));
    return bytes === undefined ? [] : fsDecode(bytes).split('\0');
  },
  cwd(pid) {
    return valueOrUndefined(() => fsDecode(readlinkSync(`/proc/${pid}/cwd`, 'buffer')));
  },
};

function valueOrUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
