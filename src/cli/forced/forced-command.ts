// Decides what an ssh key of a geo-replication session may run on a secondary's node: the session's gsyncd, rsync's
// server in the session's mount, and `gluster volume info`. A tar key runs tar in a session's mount. Pure: the caller
// (forced-exec.ts) passes the client's line and a view of /proc. No shell ever sees the line: it is cut at spaces, and
// no character in it is special. A root shell is one option of rsync, tar or gsyncd away. So each program's options
// are checked against those that primaries send.

import { basename } from 'node:path';
import type { KeyLimits } from './forced-command-line.js';
import { toPrintable } from './refusal.js';
import { isSessionOption } from './rsync-server-options.js';
import { SECONDARY_COMMANDS, isVolumeName, checkSecondaryLine, parseServedVolume } from './secondary-line.js';
import { parseTarLine } from './tar-line.js';

/** A process as /proc shows it. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  /** Effective user. */
  readonly uid: number;
}

/** Facts about running processes that the decision needs. */
export interface ProcessView {
  readonly self: number;
  entry(pid: number): ProcessEntry | undefined;
  childrenOf(pid: number): number[];
  commandLine(pid: number): string[];
  /** Target of the working directory's link. */
  cwd(pid: number): string | undefined;
}

export type ForcedDecision =
  | { readonly run: 'gluster' | 'gsyncd'; readonly args: readonly string[] }
  /** Runs in the mount of the secondary with the process id `session`; the target is then `.`. */
  | { readonly run: 'rsync' | 'tar'; readonly args: readonly string[]; readonly session: number }
  | { readonly run: 'nothing'; readonly why: string };

/** Since OpenSSH 9.8 the process of an ssh session has the second name. */
const SSHD_NAMES = new Set(['sshd', 'sshd-session']);
const STOCK_SCRIPT = 'gsyncd.py';
const OWN_SCRIPTS = new Set(['gsyncd-ts.js', 'gsyncd-ts']);
const GLUSTER_OPTION =
  /^--(xml|wignore|nolog|inet6|mode=script|timeout=\d{1,6}|log-level=[A-Z]{1,10}|remote-host=localhost)?$/;

/** Decides on the line that an ssh client sent. `limits` are the key's options in authorized_keys. */
export function decideForcedCommand(line: string, view: ProcessView, limits: KeyLimits = {}): ForcedDecision {
  const [program = '', ...args] = line.split(' ').filter((word) => word !== '');
  if (line.includes('\0')) return refuse('the command holds a NUL');
  const name = basename(program);
  if (limits.problem !== undefined) return refuse(limits.problem);
  if (limits.isTarKey === true && name === 'tar') return decideTar(args, view, limits);
  switch (limits.isTarKey === true ? '' : name) {
    case 'rsync':
      return decideRsync(args, view);
    case 'gluster':
      return decideGluster(args, limits);
    case 'gsyncd':
      return decideGsyncd(args, limits);
    default:
      return refuse(`invoking ${toPrintable(name) || 'nothing'} in restricted SSH session is not allowed`);
  }
}

function decideGsyncd(args: readonly string[], { onlyVolume }: KeyLimits): ForcedDecision {
  const why = checkSecondaryLine(args, onlyVolume);
  return why === undefined ? { run: 'gsyncd', args } : refuse(`disallowed gsyncd invocation: ${why}`);
}

function decideGluster(args: readonly string[], { onlyVolume }: KeyLimits): ForcedDecision {
  const options = args.filter((arg) => arg.startsWith('-'));
  const [object, verb, volume, ...more] = args.filter((arg) => !arg.startsWith('-'));
  const isInfo =
    object === 'volume' && verb === 'info' && more.length === 0 && (volume === undefined || isVolumeName(volume));
  if (!isInfo || !options.every((option) => GLUSTER_OPTION.test(option)))
    return refuse('disallowed gluster invocation: only volume info may be asked for');
  if (onlyVolume !== undefined && volume !== onlyVolume)
    return refuse(`disallowed gluster invocation: this key is for volume ${toPrintable(onlyVolume)}`);
  return { run: 'gluster', args };
}

function decideTar(args: readonly string[], view: ProcessView, { onlyVolume }: KeyLimits): ForcedDecision {
  const line = parseTarLine(args);
  if (line === undefined) return refuse('disallowed tar invocation: not the command line of a geo-replication session');
  const served = findServed(view, line.pid);
  if (served === undefined) return refuse("disallowed tar invocation: tar target is no geo-replication session's");
  if (onlyVolume !== undefined && served.volume !== onlyVolume)
    return refuse(`disallowed tar invocation: this key is for volume ${toPrintable(onlyVolume)}`);
  return { run: 'tar', args: line.options, session: line.pid };
}

function decideRsync(args: readonly string[], view: ProcessView): ForcedDecision {
  const disallowed = (why: string): ForcedDecision => refuse(`disallowed rsync invocation: ${why}`);
  const [dot, target = ''] = args.slice(-2);
  const options = args.slice(1, -2);
  if (
    args[0] !== '--server' ||
    dot !== '.' ||
    !target.startsWith('/') ||
    !options.every((option) => option.startsWith('-'))
  ) {
    return disallowed('need an rsync invocation without protected args');
  }
  const unexpected = options.find((option) => !isSessionOption(option));
  if (unexpected !== undefined)
    return disallowed(`option ${toPrintable(unexpected)} is not of a geo-replication session`);
  const found = findSiblingGsyncd(view);
  if (typeof found === 'string') return disallowed(found);
  const allowed = [`/proc/${found.pid}/cwd`, view.cwd(found.pid)];
  if (target === '/' || !allowed.includes(target))
    return disallowed('rsync target does not match geo-replication session');
  return { run: 'rsync', args: [...args.slice(0, -1), '.'], session: found.pid };
}

/** The gsyncd of the same ssh connection; the reason when there is none, or more than one. */
function findSiblingGsyncd(view: ProcessView): { pid: number } | string {
  const sshd = findSshdAncestor(view);
  if (sshd === undefined) return 'sshd ancestor not found';
  const found = view.childrenOf(sshd).filter((pid) => pid !== view.self && isGsyncd(view.commandLine(pid)));
  const [pid] = found;
  if (pid === undefined) return 'gsyncd sibling not found';
  return found.length === 1 ? { pid } : 'gsyncd sibling is not unique';
}

function findSshdAncestor(view: ProcessView): number | undefined {
  let ancestor = view.entry(view.self);
  while (ancestor !== undefined && !SSHD_NAMES.has(ancestor.name)) ancestor = view.entry(ancestor.parent);
  return ancestor?.pid;
}

/** Whether the process of a decision is still the session's secondary. The kernel may have given its id to another
 *  process. */
export function isStillSession(
  { run, session }: Extract<ForcedDecision, { session: number }>,
  view: ProcessView,
  { onlyVolume }: KeyLimits,
): boolean {
  if (run === 'rsync')
    return view.entry(session)?.parent === findSshdAncestor(view) && isGsyncd(view.commandLine(session));
  const served = findServed(view, session);
  return served !== undefined && (onlyVolume === undefined || served.volume === onlyVolume);
}

/** The volume that this user's gsyncd with the id `pid` serves, over any connection: a tar key has a separate one.
 *  @returns undefined when the process is no secondary of this user */
function findServed(view: ProcessView, pid: number): { volume: string | undefined } | undefined {
  const uid = view.entry(view.self)?.uid;
  if (uid === undefined || view.entry(pid)?.uid !== uid) return undefined;
  const words = parseGsyncdWords(view.commandLine(pid));
  return words === undefined ? undefined : { volume: parseServedVolume(words) };
}

function isGsyncd(commandLine: readonly string[]): boolean {
  return parseGsyncdWords(commandLine) !== undefined;
}

/** The words after gsyncd's name, when the command line is a secondary gsyncd's of this project or of Python; else
 *  undefined. */
function parseGsyncdWords([program = '', ...args]: readonly string[]): readonly string[] | undefined {
  const name = basename(program);
  if (/^python[\d.]*$/.test(name)) return basename(args[0] ?? '') === STOCK_SCRIPT ? args.slice(1) : undefined;
  if (name !== 'node' && name !== 'nodejs') return undefined;
  const script = args.findIndex((arg) => !arg.startsWith('-'));
  if (script === -1 || !OWN_SCRIPTS.has(basename(args[script] ?? ''))) return undefined;
  const words = args.slice(script + 1);
  return SECONDARY_COMMANDS.has(words[0] ?? '') ? words : undefined;
}

function refuse(why: string): ForcedDecision {
  return { run: 'nothing', why };
}
