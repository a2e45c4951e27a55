// `gsyncd-ts worker file:///a file:///b`, or `… ssh://HOST/b`: the worker on plain directories, without an earlier
// configuration. Its options come from the command line and an optional config file. Its state is in a directory of
// the user's.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig, type Config } from '../../config/config.js';
import type { OptionName } from '../../config/options.js';
import { escapePath, sessionTemplateArgs } from '../../config/template.js';
import { fileUrlPath, sshUrl, type SshLocation } from '../../worker/directory/file-url.js';
import { GsyncdError } from '../../errors.js';
import { findProgram } from '../../process/program.js';
import { directorySessionsRoot } from '../session-lookup.js';
import type { WorkerFlags, WorkerPlan } from '../worker-plan.js';

/** GlusterFS's changelog.rollover-time. A changelog closes at once when something changes, but at most one per second. */
const ROLLOVER_S = 15;

/** @throws GsyncdError 'usage' when the secondary is neither a file:// nor an ssh:// URL */
export async function directoryWorkerPlan(
  primaryPath: string,
  secondary: string,
  flags: WorkerFlags,
): Promise<WorkerPlan> {
  const [localPath, remote] = [fileUrlPath(secondary), sshUrl(secondary)];
  if (localPath === null && remote === null)
    throw new GsyncdError(
      `secondary: ${secondary}: must be file:///PATH or ssh://[USER@]HOST/PATH, since the primary is a directory`,
      { code: 'usage' },
    );
  const secondaryPath = localPath ?? secondary;
  const stateDir =
    flags.stateDir ?? join(directorySessionsRoot(), `${escapePath(primaryPath)}_${escapePath(secondaryPath)}`);
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const config = await loadDirectoryConfig({ primaryPath, secondaryPath, remote, stateDir }, flags);
  process.stderr.write(
    `gsyncd-ts: ${primaryPath} to ${secondaryPath} by ${config.get('sync-method')}; state and log: ${stateDir}\n`,
  );
  return {
    config,
    label: `worker ${primaryPath}`,
    findEndpoints: async (log) => {
      const { directoryEndpoints } = await import('../../worker/directory/endpoints.js');
      return directoryEndpoints({
        primaryPath,
        secondary: remote ?? { path: secondaryPath },
        debug: flags.debug === true,
        config,
        log,
        rolloverMs: (flags.rolloverTime ?? ROLLOVER_S) * 1000,
      });
    },
  };
}

interface Directories {
  readonly primaryPath: string;
  readonly secondaryPath: string;
  readonly remote: SshLocation | null;
  readonly stateDir: string;
}

/** Unless the config file sets them: rsync transfers the data if it is installed, and ssh uses its user's
 *  configuration. */
async function loadDirectoryConfig(
  { primaryPath, secondaryPath, remote, stateDir }: Directories,
  flags: WorkerFlags,
): Promise<Config> {
  const options = {
    sessionFile: flags.configFile,
    templateArgs: sessionTemplateArgs({
      primary: primaryPath,
      secondaryUser: '',
      secondaryHost: remote?.host ?? 'localhost',
      secondaryVolume: secondaryPath,
      localPath: primaryPath,
    }),
  };
  const fixedOverrides = {
    'georep-session-working-dir': stateDir,
    'state-file': join(stateDir, 'monitor.status'),
    'working-dir': stateDir,
    'log-file': join(stateDir, 'gsyncd.log'),
    'ssh-port': remote?.port?.toString(),
  };
  const config = loadConfig({ ...options, overrides: fixedOverrides });
  const isSet = (name: OptionName): boolean =>
    flags.configFile !== undefined && config.origin(name).where.startsWith(`${flags.configFile}:`);
  const hasRsync = await findProgram(config.get('rsync-command')).then(
    () => true,
    () => false,
  );
  const ssh = '-oBatchMode=yes';
  const defaultOverrides = {
    'sync-method': hasRsync ? 'rsync' : 'tarssh',
    'ssh-options': ssh,
    'ssh-options-tar': ssh,
    'remote-gsyncd': 'gsyncd-ts',
  } as const;
  const unsetDefaults = Object.fromEntries(
    Object.entries(defaultOverrides).filter(([name]) => !isSet(name as OptionName)),
  );
  return loadConfig({ ...options, overrides: { ...fixedOverrides, ...unsetDefaults } });
}
