// Runs a command line with the stock daemon and with this program, each on its own copy of the same state, and returns both
// outcomes. Each run bind-mounts its copy over the real paths in a private mount namespace, which needs root.

import { execFile } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

export const STOCK_GSYNCD = [
  '/usr/lib/x86_64-linux-gnu/glusterfs/gsyncd',
  '/usr/lib/aarch64-linux-gnu/glusterfs/gsyncd',
  '/usr/libexec/glusterfs/gsyncd',
].find((path) => existsSync(path));
const PLACES = {
  glusterd: '/var/lib/glusterd',
  log: '/var/log/glusterfs',
  run: '/run/gluster',
  misc: '/var/lib/misc',
  bricks: '/srv',
} as const;
export const BIN = resolve(import.meta.dirname, '../../bin/gsyncd-ts.js');

/** Why the twins cannot be compared here; undefined when they can. */
export const noTwins =
  STOCK_GSYNCD === undefined ? 'GlusterFS is not installed' : process.getuid?.() === 0 ? undefined : 'needs root';

export interface TwinCase {
  /** Contents of files by their real path, below one of PLACES. */
  readonly files: Readonly<Record<string, string>>;
  readonly argv: readonly string[];
  /** While the command runs, another process holds the record lock of this file. */
  readonly locked?: string;
  /** Bash, run before and after the command; the output of `after` is part of the outcome. */
  readonly before?: string;
  readonly after?: string;
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Contents by real path; directories end with a slash. Logs are left out. */
  readonly files: Readonly<Record<string, string>>;
  readonly after: string;
}

export async function runTwins(test: TwinCase): Promise<{ stock: Outcome; here: Outcome }> {
  const [stock, here] = await Promise.all([runOne(test, [STOCK_GSYNCD ?? '']), runOne(test, [process.execPath, BIN])]);
  return { stock, here };
}

/** Holds $LOCKED's record lock, as a monitor does, while the command runs. */
const HOLDER =
  'import fcntl,os,subprocess,sys\nf=open(os.environ["LOCKED"],"w")\nfcntl.lockf(f,fcntl.LOCK_EX)\nsys.exit(subprocess.call(sys.argv[1:]))';

/** Runs `program` with the case's arguments on a private copy of its state. */
export async function runOne(test: TwinCase, program: readonly string[]): Promise<Outcome> {
  const root = mkdtempSync(join(tmpdir(), 'gsyncd-twin-'));
  try {
    for (const name of Object.keys(PLACES)) mkdirSync(join(root, name));
    // Stock creates one level of directories for its log, and fails when more are missing.
    mkdirSync(join(root, 'log/geo-replication'));
    for (const [path, content] of Object.entries(test.files)) {
      const inside = insideRoot(root, path);
      mkdirSync(dirname(inside), { recursive: true });
      writeFileSync(inside, content);
    }
    const mounts = Object.entries(PLACES).map(
      ([name, place]) => `mkdir -p ${place} && mount --bind "$ROOT/${name}" ${place}`,
    );
    const hold = test.locked === undefined ? [] : ['python3', '-I', '-S', '-c', HOLDER];
    const script = [
      'set -e',
      ...mounts,
      'cd /',
      test.before ?? '',
      'set +e',
      '"$@" >"$ROOT/stdout" 2>"$ROOT/stderr" </dev/null',
      'code=$?',
      test.after ?? '',
      'exit $code',
    ].join('\n');
    const argv = [
      '--mount',
      '--propagation',
      'private',
      'bash',
      '--norc',
      '-c',
      script,
      'twin',
      ...hold,
      ...program,
      ...test.argv,
    ];
    const env = {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: '/root',
      LANG: 'C.UTF-8',
      TZ: 'Asia/Kathmandu',
      ROOT: root,
      LOCKED: test.locked ?? '',
    };
    const [code, after] = await new Promise<[number, string]>((done) => {
      execFile('unshare', argv, { env }, (error, stdout) => done([error === null ? 0 : Number(error.code), stdout]));
    });
    const read = (name: string): string => readFileSync(join(root, name), 'utf8');
    return { code, stdout: read('stdout'), stderr: read('stderr'), files: filesBelow(root), after };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function insideRoot(root: string, path: string): string {
  const place = Object.entries(PLACES).find(([, dir]) => path.startsWith(`${dir}/`));
  if (place === undefined) throw new Error(`twin: ${path}: in none of the places`);
  return join(root, place[0], path.slice(place[1].length));
}

function filesBelow(root: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const [name, place] of Object.entries(PLACES)) {
    if (name === 'log') continue;
    for (const entry of readdirSync(join(root, name), { recursive: true, encoding: 'utf8' }).sort()) {
      const path = join(root, name, entry);
      if (lstatSync(path).isSymbolicLink()) files[`${place}/${entry}`] = `-> ${readlinkSync(path)}`;
      else if (statSync(path).isDirectory()) files[`${place}/${entry}/`] = '';
      else files[`${place}/${entry}`] = readFileSync(path, 'latin1');
    }
  }
  return files;
}
