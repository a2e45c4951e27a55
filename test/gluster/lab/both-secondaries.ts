// How the stock secondary and this project's are started as programs, on a volume of the lab each, for tests and
// measurements that talk to both as the stock daemon does.
import { HOST } from './lab.js';
import type { Lab } from './lab.js';
import { REPO } from './machine.js';

export interface BothSecondaries {
  /** Where the stock daemon's modules are. */
  readonly daemon: string;
  /** Works on gv0. */
  readonly stock: readonly string[];
  /** Works on sv0. */
  readonly own: readonly string[];
}

export async function bothSecondaries(lab: Lab): Promise<BothSecondaries> {
  const found = await lab.exec([
    'bash',
    '-c',
    'ls -d /usr/lib*/*/glusterfs/python/syncdaemon /usr/libexec/glusterfs/python/syncdaemon 2>/dev/null | head -1',
  ]);
  const daemon = found.stdout.trim();
  const argv = (program: readonly string[], volume: string): string[] => [
    ...program,
    'secondary',
    'px',
    `root@${HOST}::${volume}`,
    '--primary-node',
    'n1',
    '--primary-node-id',
    'x',
    '--primary-brick',
    '/b',
    '--local-node',
    'h',
    '--local-node-id',
    'y',
    '--secondary-timeout',
    '120',
    '--secondary-log-level',
    'INFO',
    '--secondary-gluster-log-level',
    'INFO',
    '--secondary-gluster-command-dir',
    '/usr/sbin',
    '--primary-dist-count',
    '1',
    '--secondary-access-mount',
  ];
  return {
    daemon,
    stock: argv(['python3', `${daemon}/gsyncd.py`], 'gv0'),
    own: argv([process.execPath, `${REPO}/bin/gsyncd-ts.js`], 'sv0'),
  };
}
