// `gsyncd-ts worker file:///a file:///b`: the worker on plain directories, for which nothing was configured before. Its
// options come from the command line and an optional config file, its state is in a directory of the user's.

import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { loadConfig, type Config } from '../../config/config.js';
import { escapePath, sessionTemplateArgs } from '../../config/template.js';
import { fileUrlPath } from '../../daemon/file-url.js';
import { GsyncdError } from '../../errors.js';
import { findProgram } from '../../process/program.js';
import type { WorkerFlags, WorkerPlan } from '../worker-plan.js';

/** changelog.rollover-time of GlusterFS. Journals close at once when something changes, but for one a second. */
const ROLLOVER_S = 15;

/** @throws GsyncdError 'usage' when the secondary is no file:/// URL */
export async function embeddedPlan(primaryPath: string, secondary: string, flags: WorkerFlags): Promise<WorkerPlan> {
  const secondaryPath = fileUrlPath(secondary);
  if (secondaryPath === null) throw new GsyncdError(`secondary: ${secondary}: must be file:///PATH, as the primary is`, { code: 'usage', retryable: false });
  const stateDir = flags.stateDir ?? join(stateHome(), 'gsyncd-ts', `${escapePath(primaryPath)}_${escapePath(secondaryPath)}`);
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const config = await configFor(primaryPath, secondaryPath, stateDir, flags);
  process.stderr.write(`gsyncd-ts: ${primaryPath} to ${secondaryPath} by ${config.get('sync-method')}; state and log: ${stateDir}\n`);
  return {
    config,
    label: `worker ${primaryPath}`,
    findSite: async (log) => {
      const { embeddedSite } = await import('../../daemon/embedded-site.js');
      return embeddedSite({ primaryPath, secondaryPath, config, log, rolloverMs: (flags.rolloverTime ?? ROLLOVER_S) * 1000 });
    },
  };
}

/** Without a choice in the config file, data travels by rsync where there is one. */
async function configFor(primaryPath: string, secondaryPath: string, stateDir: string, flags: WorkerFlags): Promise<Config> {
  const options = {
    ...(flags.configFile === undefined ? {} : { sessionFile: flags.configFile }),
    templateArgs: sessionTemplateArgs({ primary: primaryPath, secondaryUser: '', secondaryHost: 'localhost', secondaryVolume: secondaryPath, localPath: primaryPath }),
  };
  const paths = {
    'georep-session-working-dir': stateDir,
    'state-file': join(stateDir, 'monitor.status'),
    'working-dir': stateDir,
    'log-file': join(stateDir, 'gsyncd.log'),
  };
  const config = loadConfig({ ...options, overrides: paths });
  if (flags.configFile !== undefined && config.origin('sync-method').where.startsWith(`${flags.configFile}:`)) return config;
  const hasRsync = await findProgram(config.get('rsync-command')).then(() => true, () => false);
  return loadConfig({ ...options, overrides: { ...paths, 'sync-method': hasRsync ? 'rsync' : 'tarssh' } });
}

function stateHome(): string {
  const set = process.env['XDG_STATE_HOME'];
  return set === undefined || set === '' ? join(homedir(), '.local', 'state') : set;
}
