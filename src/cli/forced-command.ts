// What an ssh key of a geo-replication session may run on a secondary's node, decided without doing anything: rsync's
// server on the mount of the session, the session's gsyncd, and `gluster volume info`. The caller (forced-exec.ts)
// hands in the line that the client sent and a view of /proc. No shell ever sees the line: it is cut at spaces, and
// nothing in it means anything else. Beyond the stock wrapper's rules, options are refused that lead rsync or gluster
// out of the session (a log file of one's choice, arguments hidden in the data stream, …); no gsyncd sends them.

import { basename } from 'node:path';

/** A process as /proc shows it. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
}

/** What the decision needs to know of running processes. */
export interface ProcessView {
  readonly self: number;
  entry(pid: number): ProcessEntry | undefined;
  childrenOf(pid: number): number[];
  commandLine(pid: number): string[];
  /** Text of the working directory's link. */
  cwd(pid: number): string | undefined;
}

export type ForcedDecision =
  | { readonly run: 'gluster' | 'gsyncd'; readonly args: readonly string[] }
  /** Runs in the mount of the secondary `session`, a process id; whose name is `.` then. */
  | { readonly run: 'rsync'; readonly args: readonly string[]; readonly session: number }
  | { readonly run: 'nothing'; readonly why: string };

/** Since OpenSSH 9.8 a session's process has a name of its own. */
const SSHD_NAMES = new Set(['sshd', 'sshd-session']);
const STOCK_SCRIPT = 'gsyncd.py';
const OWN_SCRIPTS = new Set(['gsyncd-ts.js', 'gsyncd-ts']);
const SECONDARY_COMMANDS = new Set(['secondary', 'slave']);
/** A plain directory instead of a volume, and options that name files of one's choice: no primary's worker sends them. */
const SECONDARY_ESCAPES = /^(file:|-c|--config-file(=|$)|--log-file(=|$)|--print-id$)/i;
const GLUSTER_OPTIONS = /^--(xml|wignore|nolog|inet6|mode=script|timeout=\d+|log-level=\w+|remote-host=[\w.:[\]-]+)?$/;

/** Options of rsync's server that read or write what they name, run programs, or hide arguments. */
const RSYNC_ESCAPES =
  /^--(daemon|config|log-file(?!-format)|dparam|password-file|rsh|rsync-path|protect-args|secluded-args|remote-option|early-input|exclude-from|include-from|filter|include|exclude|read-batch|write-batch|only-write-batch)(=|$)/;
/** Options that name a directory, which has to be below the target. */
const RSYNC_DIRECTORIES = /^--(temp-dir|partial-dir|backup-dir|compare-dest|copy-dest|link-dest)=(.*)$/;
const RSYNC_FILES_FROM = /^--files-from=(?!-$)/;

/** Decides on the line that an ssh client sent. */
export function decideForcedCommand(line: string, view: ProcessView): ForcedDecision {
  const [program = '', ...args] = line.split(' ').filter((word) => word !== '');
  if (line.includes('\0')) return refuse('the command holds a NUL');
  switch (basename(program)) {
    case 'rsync':
      return decideRsync(args, view);
    case 'gluster':
      return decideGluster(args);
    case 'gsyncd':
      return decideGsyncd(args);
    default:
      return refuse(`invoking ${printable(basename(program)) || 'nothing'} in restricted SSH session is not allowed`);
  }
}

function decideGsyncd(args: readonly string[]): ForcedDecision {
  if (!SECONDARY_COMMANDS.has(args[0] ?? '')) return refuse('disallowed gsyncd invocation: only the secondary may be started');
  const escape = args.find((arg) => SECONDARY_ESCAPES.test(arg));
  if (escape !== undefined) return refuse(`disallowed gsyncd invocation: ${printable(escape)} is not of a geo-replication session`);
  return { run: 'gsyncd', args };
}

function decideGluster(args: readonly string[]): ForcedDecision {
  const end = args.indexOf('--');
  const options = args.filter((arg, at) => arg.startsWith('--') && (end === -1 || at <= end));
  const [object, verb, ...volume] = args.filter((arg, at) => !arg.startsWith('--') || (end !== -1 && at > end));
  if (object !== 'volume' || verb !== 'info' || volume.length > 1 || !options.every((option) => GLUSTER_OPTIONS.test(option))) {
    return refuse('disallowed gluster invocation: only volume info may be asked for');
  }
  return { run: 'gluster', args };
}

function decideRsync(args: readonly string[], view: ProcessView): ForcedDecision {
  const disallowed = (why: string): ForcedDecision => refuse(`disallowed rsync invocation: ${why}`);
  const [dot, target = ''] = args.slice(-2);
  const options = args.slice(1, -2);
  if (args[0] !== '--server' || dot !== '.' || !target.startsWith('/') || !options.every((option) => option.startsWith('-'))) {
    return disallowed('need an rsync invocation without protected args');
  }
  const escape = options.find(leadsOut);
  if (escape !== undefined) return disallowed(`option ${printable(escape)} is not of a geo-replication session`);
  const found = siblingGsyncd(view);
  if (typeof found === 'string') return disallowed(found);
  const allowed = [`/proc/${found.pid}/cwd`, view.cwd(found.pid)];
  if (target === '/' || !allowed.includes(target)) return disallowed('rsync target does not match geo-replication session');
  return { run: 'rsync', args: [...args.slice(0, -1), '.'], session: found.pid };
}

function leadsOut(option: string): boolean {
  if (!option.startsWith('--')) return shortOptionsLeadOut(option);
  const directory = RSYNC_DIRECTORIES.exec(option)?.[2];
  if (directory !== undefined) return directory.startsWith('/') || directory.split('/').includes('..');
  return RSYNC_ESCAPES.test(option) || RSYNC_FILES_FROM.test(option) || abbreviates(option);
}

/** The server's letters end in `e`, with a dot and the client's abilities; any other value would be a shell to run.
 *  `s` takes arguments from the data stream; T, M and f take a value. */
function shortOptionsLeadOut(option: string): boolean {
  const [letters = ''] = option.slice(1).split('e', 1);
  const value = option.slice(1 + letters.length + 1);
  if (/[sTMf]/.test(letters)) return true;
  return letters.length + 1 < option.length && !/^\d*\.[\w.]*$/.test(value);
}

/** An option whose value is the word after it (`--temp-dir /etc` or `--log-file`): no server is called so. */
function abbreviates(option: string): boolean {
  return /^--(temp-dir|partial-dir|backup-dir|compare-dest|copy-dest|link-dest|files-from|log-file)$/.test(option);
}

/** The gsyncd that came over the same ssh connection; the reason when there is none, or more than one. */
export function siblingGsyncd(view: ProcessView): { pid: number } | string {
  let ancestor = view.entry(view.self);
  while (ancestor !== undefined && !SSHD_NAMES.has(ancestor.name)) ancestor = view.entry(ancestor.parent);
  if (ancestor === undefined) return 'sshd ancestor not found';
  const found = view.childrenOf(ancestor.pid).filter((pid) => pid !== view.self && isGsyncd(view.commandLine(pid)));
  const [pid] = found;
  if (pid === undefined) return 'gsyncd sibling not found';
  return found.length === 1 ? { pid } : 'gsyncd sibling is not unique';
}

function isGsyncd([program = '', ...args]: readonly string[]): boolean {
  const name = basename(program);
  if (/^python[\d.]*$/.test(name)) return basename(args[0] ?? '') === STOCK_SCRIPT;
  if (name !== 'node' && name !== 'nodejs') return false;
  const script = args.findIndex((arg) => !arg.startsWith('-'));
  return script !== -1 && OWN_SCRIPTS.has(basename(args[script] ?? '')) && SECONDARY_COMMANDS.has(args[script + 1] ?? '');
}

function refuse(why: string): ForcedDecision {
  return { run: 'nothing', why };
}

/** What a client sent, fit for one line of a terminal or a log. */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 80);
}
