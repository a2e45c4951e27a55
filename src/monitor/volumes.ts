// Information about both volumes for the monitor. It comes from gluster, here and over ssh, or from the session's config if
// glusterd has written it there (`--use-gconf-volinfo`).

import type { Config } from '../config/config.js';
import { GsyncdError } from '../errors.js';
import { queryVolumeInfo, type BrickInfo, type VolumeInfo } from '../gluster/volinfo.js';
import { localRunner, sshRunner, type SecondaryName } from '../worker/session.js';

export interface VolumeSource {
  primary(signal: AbortSignal): Promise<VolumeInfo>;
  secondary(signal: AbortSignal): Promise<VolumeInfo>;
}

/** Both volumes as their clusters report them now. Rejects with GsyncdError 'preflight'. */
export function volumesFromGluster(
  config: Config,
  primary: string,
  { user, host, volume }: SecondaryName,
): VolumeSource {
  return {
    primary: (signal) => queryVolumeInfo(localRunner(config, signal), primary, config.get('gluster-command-dir')),
    secondary: (signal) =>
      queryVolumeInfo(
        sshRunner(config, `${user}@${host}`, signal),
        volume,
        config.get('secondary-gluster-command-dir'),
      ),
  };
}

/** Both volumes as the session's config describes them. */
export function volumesFromConfig(config: Config, primary: string, secondary: SecondaryName): VolumeSource {
  const info = (name: string, id: string, bricks: string): VolumeInfo => {
    if (id === '')
      throw new GsyncdError(`config: volume ${name}: no id, no bricks: --use-gconf-volinfo needs them`, {
        code: 'config',
      });
    return {
      name,
      id,
      type: '',
      status: '',
      bricks: parseBricks(bricks),
      replicaCount: config.get('primary-replica-count'),
      disperseCount: config.get('primary-disperse-count'),
      arbiterCount: 0,
      distributionCount: config.get('primary-distribution-count'),
      options: {},
    };
  };
  return {
    primary: () =>
      Promise.resolve().then(() => info(primary, config.get('primary-volume-id'), config.get('primary-bricks'))),
    secondary: () =>
      Promise.resolve().then(() =>
        info(secondary.volume, config.get('secondary-volume-id'), config.get('secondary-bricks')),
      ),
  };
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** `[NODEID:]HOST[:PATH],…`; the host may be an IPv6 address. */
export function parseBricks(text: string): BrickInfo[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
    .map((word) => {
      const parts = word.split(':');
      const hostUuid = UUID.test(parts[0] ?? '') ? (parts.shift() ?? '') : '';
      const path = parts.at(-1)?.includes('/') === true ? (parts.pop() ?? '') : '';
      return { host: parts.join(':'), path, hostUuid, isArbiter: false };
    });
}
