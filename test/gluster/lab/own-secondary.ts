// This project's secondary as a process on sv0 of a lab, for tests that speak to it themselves, and what such tests look
// at: a tree in the volume, another one next to it that no path in the volume may reach, and everything on the disks.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { RepceClient } from '../../../src/rpc/client.js';
import { HOST } from './lab.js';
import type { Lab } from './lab.js';
import { REPO } from './machine.js';
import { seedFrom } from '../../seeds.js';

/** The seed of the samples of hostile requests. */
export const SEED = seedFrom('SECONDARY_SEED');

export interface Ended {
  readonly code: number | null;
  readonly stderr: string;
}

export interface OwnSecondary {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

export function startOwnSecondary(lab: Lab, timeoutS = 120): OwnSecondary {
  const argv = [
    process.execPath,
    `${REPO}/bin/gsyncd-ts.js`,
    'secondary',
    'px',
    `root@${HOST}::sv0`,
    '--secondary-timeout',
    String(timeoutS),
  ];
  const [file, args] = lab.box.command([...argv, '--secondary-gluster-command-dir', '/usr/sbin']);
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin?.on('error', () => undefined);
  return { child, ended: new Promise((resolve) => child.once('close', (code) => resolve({ code, stderr }))) };
}

export function clientOf({ child }: OwnSecondary): RepceClient {
  return new RepceClient({ input: child.stdout!, output: child.stdin! });
}

/** Where the lab's bricks are, and OUTSIDE. */
export const DISKS = '/srv';
/** No part of any volume. The mounts of a secondary are four levels below the machine's root. */
export const OUTSIDE = `${DISKS}/outside`;
const TREE =
  'mkdir -p dir/sub; printf canary >canary; printf a >dir/a; printf b >dir/sub/b; ln dir/a linked; ln -s canary sym; chmod 640 dir/a';

/** Makes the same small tree in sv0 and outside of it. */
export async function plantTrees(lab: Lab): Promise<void> {
  await lab.exec(['mkdir', '-p', OUTSIDE]);
  for (const dir of [lab.secondary, OUTSIDE]) await lab.sh(TREE, dir);
}

/** All that is below DISKS or `dir`, but for GlusterFS's own: names, inodes' attributes, xattrs and contents. */
export async function everythingIn(lab: Lab, dir: string = DISKS): Promise<string[]> {
  const found = String.raw`find . -name .glusterfs -prune -o`;
  const text = await lab.sh(
    String.raw`${found} -printf '%p %y %m %n %U %G %s %T@ %C@ %l\0' | tr '\n\0' '\0\n' | sort
${found} -exec getfattr -h -d -m - -e hex {} + | sort
${found} -type f -exec sha256sum {} + | sort`,
    dir,
  );
  return text.split('\n');
}
