// The gfid-access mount of a volume for an unprivileged user. glusterd's mount broker mounts and unmounts it at the request
// of `gluster system::`. glusterfs is not a child of this process, so only an unmount ends it.

import { userInfo } from 'node:os';
import { GsyncdError } from '../errors.js';
import { commandPath } from './command-path.js';
import type { RunCommand } from './volinfo.js';

export interface BrokerMountOptions {
  /** Directory of `gluster`; '' for PATH. */
  readonly glusterCommandDir: string;
  readonly cliOptions: readonly string[];
  /** Name of the mount in glusterd's configuration. */
  readonly label: string;
  /** Options without their dashes, `aux-gfid-mount`, … */
  readonly params: readonly string[];
  readonly volume: string;
  readonly logFile: string;
  readonly logLevel: string;
  readonly run: RunCommand;
}

export interface BrokerMount {
  readonly dir: string;
  close(): Promise<void>;
}

/** @throws GsyncdError 'mount' with glusterd's message when it refuses */
export async function mountByBroker(options: BrokerMountOptions): Promise<BrokerMount> {
  const { label, params, volume, logFile, logLevel, run } = options;
  const settings = [
    ...params,
    `log-level=${logLevel}`,
    `log-file=${logFile}`,
    'volfile-server=localhost',
    `volfile-id=${volume}`,
    'client-pid=-1',
  ];
  const cli = cliArgv(options);
  const result = await run([...cli, 'mount', label, `user-map-root=${userInfo().username}`, ...settings]);
  const firstLine = result.stdout.split('\n')[0]?.trim() ?? '';
  if (result.exitCode !== 0 || !firstLine.startsWith('/')) {
    const reason = firstLine || result.stderrTail.trim().split('\n').at(-1) || `gluster ended with ${result.exitCode}`;
    throw new GsyncdError(`mount: ${volume}: the mount broker refused: ${reason}`, { code: 'mount' });
  }
  return {
    dir: firstLine,
    async close() {
      const { exitCode, stdout, stderrTail } = await run([...cli, 'umount', firstLine, 'lazy']);
      if (exitCode !== 0)
        throw new GsyncdError(
          `unmount: ${firstLine}: ${(stdout + stderrTail).trim() || `gluster ended with ${exitCode}`}`,
          { code: 'mount' },
        );
    },
  };
}

function cliArgv({ glusterCommandDir, cliOptions }: BrokerMountOptions): string[] {
  return [commandPath(glusterCommandDir, 'gluster'), '--remote-host=localhost', ...cliOptions, 'system::'];
}
