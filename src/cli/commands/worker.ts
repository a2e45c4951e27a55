// `gsyncd-ts worker`: one brick's worker, started by hand, by a service, or by a monitor.

import { closeSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Command } from 'commander';
import { loadConfig, type Config } from '../../config/config.js';
import { GLUSTERD_WORKDIR } from '../../config/places.js';
import { sessionConfigPath, sessionTemplateArgs } from '../../config/template.js';
import { fileUrlPath } from '../../worker/directory/file-url.js';
import { nextRestart, type Restart } from '../../worker/outdated-mounts.js';
import { parseSecondary } from '../../worker/session.js';
import { errorLine, GsyncdError, isGsyncdError } from '../../errors.js';
import { createLogger } from '../../log.js';
import { withoutTrailingSlashes } from '../../names.js';
import { replaceProcess } from '../../native/libc.js';
import { CommandExit } from '../exit.js';
import { addMetricsOptions, startMetrics } from '../metrics-options.js';
import { parseWholeNumber } from '../option-values.js';
import { stopSignal } from '../stop-signal.js';
import { VERSION } from '../version.js';
import type { WorkerFlags, WorkerPlan } from '../worker-plan.js';

/** Set for the process that runs in a private mount namespace. */
const PRIVATE_MOUNTS_ENV = 'GSYNCD_TS_PRIVATE_MOUNTS';
/** Set for a worker that has started again in its process: a Restart, as JSON. It has closed the feedback descriptor before. */
const RESTARTED_ENV = 'GSYNCD_TS_RESTARTED';

export function addWorkerCommand(program: Command): void {
  addMetricsOptions(program.command('worker'))
    .description('replicate one brick of PRIMARY to SECONDARY until told to stop')
    .argument('<primary>', 'name of the primary volume, or file:///PATH of a plain directory')
    .argument(
      '<secondary>',
      'the secondary volume: [USER@]HOST::VOLUME; of a directory file:///PATH or ssh://[USER@]HOST[:PORT]/PATH',
    )
    .option('--local-path <path>', "the brick's path (default: the only one on this node)", withoutTrailingSlashes)
    .option('--local-node <host>', "this node's name in the volume")
    .option('--local-node-id <uuid>', "this node's id")
    .option('--subvol-num <n>', "number of the brick's subvolume, from 1", parseWholeNumber)
    .option('--is-hottier', 'the brick is of a hot tier')
    .option(
      '--removed-brick',
      'the brick has left the volume: its changelogs are read to their end, and then the worker ends',
    )
    .option('--resource-remote <host>', "the secondary's node to connect to (default: HOST)")
    .option('--resource-remote-id <uuid>', 'its id')
    .option('--secondary-id <uuid>', "the secondary volume's id")
    .option('--slave-id <uuid>', 'the same, as older monitors spell it')
    .option('--feedback-fd <fd>', 'descriptor to close when the worker is ready', parseWholeNumber)
    .option('-c, --config-file <path>', "the session's gsyncd.conf (default: glusterd's)")
    .option('--log-file <path>', 'where to log; - for the terminal')
    .option('--debug', 'log everything, to the terminal')
    .option('--state-dir <path>', 'plain directories: where status, log and changelogs in work are')
    .option(
      '--rollover-time <seconds>',
      'plain directories: longest time between rollovers of the changelogs (default: 15)',
      parseWholeNumber,
    )
    .addHelpText(
      'after',
      '\nExamples:\n  gsyncd-ts worker gv0 root@backup.example::sv0 --local-path /bricks/b1 --log-file -\n  gsyncd-ts worker file:///home/me/here file:///home/me/there',
    )
    .action(runWorker);
}

async function runWorker(primary: string, secondary: string, flags: WorkerFlags): Promise<void> {
  const primaryPath = fileUrlPath(primary);
  try {
    const plan =
      primaryPath === null
        ? glusterWorkerPlan(primary, secondary, flags)
        : await (await import('./directory-worker.js')).directoryWorkerPlan(primaryPath, secondary, flags);
    await runPlan(plan, flags);
  } catch (error) {
    // systemd does not restart a worker that exits with 2, since a restart does not correct a configuration. A monitor
    // tries again.
    if (flags.feedbackFd !== undefined || !isGsyncdError(error, 'config')) throw error;
    throw new CommandExit(2, `gsyncd-ts: ${errorLine(error)}`);
  }
}

/** A brick of a Gluster volume. The endpoints are loaded late: the process that only changes its mount namespace needs
 *  none. */
function glusterWorkerPlan(primary: string, secondary: string, flags: WorkerFlags): WorkerPlan {
  const { user, host, volume } = parseSecondary(secondary);
  const config = loadConfig({
    sessionFile: flags.configFile ?? sessionConfigPath(GLUSTERD_WORKDIR, primary, host, volume),
    templateArgs: sessionTemplateArgs({
      primary,
      secondaryUser: user,
      secondaryHost: host,
      secondaryVolume: volume,
      localPath: flags.localPath,
    }),
  });
  enterPrivateMounts(config, flags);
  return {
    config,
    label: `worker ${flags.localPath ?? ''}`.trim(),
    findEndpoints: async (log) => {
      const { glusterEndpoints } = await import('../../worker/gluster/endpoints.js');
      const args = {
        primary,
        secondary,
        hotTier: flags.isHottier === true,
        isRemoved: flags.removedBrick === true,
        localPath: flags.localPath,
        localNode: flags.localNode,
        localNodeId: flags.localNodeId,
        subvolNum: flags.subvolNum,
        resourceRemote: flags.resourceRemote,
        resourceRemoteId: flags.resourceRemoteId,
        secondaryId: flags.secondaryId ?? flags.slaveId,
      };
      return glusterEndpoints({ args, config, log, debug: flags.debug === true });
    },
  };
}

async function runPlan({ config, label, findEndpoints }: WorkerPlan, flags: WorkerFlags): Promise<void> {
  const debug = flags.debug === true;
  const log = createLogger({
    destination: debug ? '-' : (flags.logFile ?? config.get('log-file')),
    level: debug ? 'DEBUG' : config.get('log-level'),
    label,
  });
  const mainLog = log.child({ module: 'gsyncd', fn: 'worker' });
  for (const line of config.warnings) mainLog.warn(line);
  config.onWarning = (line) => mainLog.warn(line);

  const signal = stopSignal(() =>
    mainLog.info('stopping: finishing the current batch or leaving it for the next start'),
  );
  process.on('SIGHUP', () => log.reopen());

  let metrics: Awaited<ReturnType<typeof startMetrics>> = null;
  const lastRestart = JSON.parse(process.env[RESTARTED_ENV] ?? 'null') as Restart | null;
  let shouldRestart = false;
  try {
    const { SingleBrickSampler } = await import('../../metrics/node-samples.js');
    const sampler = new SingleBrickSampler(VERSION);
    metrics = await startMetrics(
      flags,
      () => sampler.samples(),
      (line) => mainLog.warn(line),
    );
    const { Worker } = await import('../../worker/worker.js');
    const worker = new Worker({
      findEndpoints: await findEndpoints(log),
      config,
      log,
      brick: flags.removedBrick === true ? 'removed' : 'in the volume',
      monitored: flags.feedbackFd === undefined ? 'no' : 'yes',
      lastRestart,
      onReady: () => {
        if (flags.feedbackFd !== undefined && lastRestart === null) closeSync(flags.feedbackFd);
      },
      onStatusFile: (path) => sampler.watch(path),
    });
    await worker.run(signal);
    mainLog.info('exiting.');
  } catch (error) {
    shouldRestart = isGsyncdError(error, 'outdated-mount');
    if (!shouldRestart) {
      mainLog.error(errorLine(error));
      throw error;
    }
    mainLog.info('starting again, with fresh mounts', { reason: errorLine(error) });
  } finally {
    await metrics?.close();
    log.close();
  }
  if (shouldRestart) await restart(lastRestart, signal);
}

/** Replaces this program by a new worker in this process: for a monitor or a service it is the same worker. */
async function restart(last: Restart | null, signal: AbortSignal): Promise<void> {
  // Ends children and mounts that are left, as at an exit.
  process.emit('exit', 0);
  // A SIGTERM that has arrived is noticed now.
  await nextTurn();
  if (signal.aborted) return;
  const argv = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  replaceProcess(process.execPath, argv, { ...process.env, [RESTARTED_ENV]: JSON.stringify(nextRestart(last)) });
}

/** Runs this program again in a private mount namespace, so that no other process sees or holds its mount. If that is
 *  not possible, or access-mount is on, the mount is in the common namespace. */
function enterPrivateMounts(config: Config, flags: WorkerFlags): void {
  if (process.env[PRIVATE_MOUNTS_ENV] !== undefined || process.geteuid?.() !== 0 || config.get('access-mount')) return;
  const [script, ...args] = process.argv.slice(1);
  if (script === undefined) throw new GsyncdError('start: program path: unknown', { code: 'fault' });
  const argv = [
    'unshare',
    '--mount',
    '--propagation',
    'private',
    process.execPath,
    ...process.execArgv,
    script,
    ...args,
  ];
  try {
    replaceProcess(
      'unshare',
      argv,
      { ...process.env, [PRIVATE_MOUNTS_ENV]: '1' },
      flags.feedbackFd === undefined ? [] : [flags.feedbackFd],
    );
  } catch {
    // unshare is missing: go on in this namespace.
  }
}
