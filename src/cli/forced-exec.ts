// The program as an ssh forced command: becomes what the decision allows. rsync, tar, gluster and the secondary replace this
// process, so that nothing of it stands in the data's way; the secondary's command line then shows what runs, which is how an
// rsync of the same connection finds it.

import { closeSync, constants, openSync, readFileSync, readdirSync, readlinkSync, statfsSync } from 'node:fs';
import { errorLine } from '../errors.js';
import { fsDecode } from '../names.js';
import { decideForcedCommand, type ForcedDecision, type ProcessEntry, type ProcessView } from './forced-command.js';
import { CommandExit } from './exit.js';
import { DISPATCHED, type ForcedLine } from './forced-command-line.js';
import { findGluster } from './gluster-program.js';

const EXIT_NOT_STARTED = 127;
/** statfs's f_type of FUSE, from linux/magic.h. */
const FUSE_MAGIC = 0x65735546;

/** Becomes what `line` asks for, if that is allowed.
 *  @throws CommandExit with one line when it is not (1), or when the program cannot be started (127) */
export async function runForcedCommand({ line, limits }: ForcedLine): Promise<void> {
  const env = rawEnvironment();
  // Node decodes its environment as UTF-8; a brick's path need not be.
  const exact = env['SSH_ORIGINAL_COMMAND'] ?? line;
  const decision = decideForcedCommand(exact, procView, limits);
  if (decision.run === 'nothing') throw new CommandExit(1, `gsyncd-ts: ${decision.why}`);
  const { replaceProcess } = await import('../native/libc.js');
  const [file, argv] = await programOf(decision);
  if (decision.run === 'tar') enterWorkingDirectory(decision.pid);
  try {
    if (decision.run === 'gsyncd') process.chdir('/');
    replaceProcess(file, argv, { ...env, [DISPATCHED]: '1', TAR_OPTIONS: undefined });
  } catch (error) {
    throw new CommandExit(EXIT_NOT_STARTED, `gsyncd-ts: ${errorLine(error)}`);
  }
}

async function programOf({ run, args }: Exclude<ForcedDecision, { run: 'nothing' }>): Promise<readonly [string, readonly string[]]> {
  if (run === 'gsyncd') return [process.execPath, [process.execPath, ...process.execArgv, process.argv[1] ?? '', ...args]];
  return [run === 'gluster' ? await findGluster() : run, [run, ...args]];
}

/** Enters the mount in which the process `pid` works. @throws CommandExit (1) when that is no FUSE mount */
function enterWorkingDirectory(pid: number): void {
  try {
    const fd = openSync(`/proc/${pid}/cwd`, constants.O_RDONLY | constants.O_DIRECTORY);
    // The link names the open directory itself: a process that ends meanwhile, or moves, changes nothing.
    const dir = `/proc/self/fd/${fd}`;
    if (statfsSync(dir).type !== FUSE_MAGIC) throw new Error('no mount of a volume');
    process.chdir(dir);
    closeSync(fd);
  } catch (error) {
    throw new CommandExit(1, `gsyncd-ts: disallowed tar invocation: working directory of process ${pid}: ${errorLine(error)}`);
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

/** /proc, read as it is asked for. A process that has gone is no process. */
const procView: ProcessView = {
  self: process.pid,
  entry(pid): ProcessEntry | undefined {
    const status = attempt(() => readFileSync(`/proc/${pid}/status`, 'latin1'));
    if (status === undefined) return undefined;
    const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
    // Uid: real, effective, saved, of the file system.
    return { pid, parent: Number(field('PPid')), name: field('Name'), uid: Number(field('Uid').split(/\s+/)[1]) };
  },
  childrenOf(parent) {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
    return pids.filter((pid) => procView.entry(pid)?.parent === parent);
  },
  commandLine(pid) {
    const bytes = attempt(() => readFileSync(`/proc/${pid}/cmdline`));
    return bytes === undefined ? [] : fsDecode(bytes).split('\0');
  },
  cwd(pid) {
    return attempt(() => fsDecode(readlinkSync(`/proc/${pid}/cwd`, 'buffer')));
  },
};

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
