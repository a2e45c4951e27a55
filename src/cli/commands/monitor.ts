// `gsyncd-ts monitor`: the session's daemon on one node, as glusterd starts it. The command returns when the daemon
// holds the pid file. The daemon goes on in the background as leader of a new process group, which glusterd stops,
// pauses and resumes as a whole. With --debug or --foreground it stays in the foreground.

import { closeSync, existsSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { GLUSTERD_WORKDIR } from '../../config/places.js';
import { loadConfig } from '../../config/config.js';
import { sessionConfigPath, sessionTemplateArgs } from '../../config/template.js';
import { errorLine, GsyncdError, isGsyncdError, type ErrorCode } from '../../errors.js';
import { createLogger } from '../../log.js';
import { fsEncode } from '../../names.js';
import { addMetricsOptions, startMetrics, type MetricsFlags } from '../metrics-options.js';
import { stopSignal } from '../stop-signal.js';
import { VERSION } from '../version.js';

interface MonitorFlags extends MetricsFlags {
  readonly configFile?: string;
  readonly pauseOnStart?: true;
  readonly localNodeId?: string;
  readonly useGconfVolinfo?: true;
  readonly logFile?: string;
  readonly foreground?: true;
  readonly debug?: true;
}

/** Set in the environment of the daemon, which reports on FEEDBACK_FD. */
const DAEMON_ENV = 'GSYNCD_TS_DAEMON';
const FEEDBACK_FD = 3;
const READY = 'ready';

export function addMonitorCommand(program: Command): void {
  addMetricsOptions(program.command('monitor'))
    .description("run a worker for each brick of PRIMARY on this node, as the session's daemon")
    .argument('<primary>', 'name of the primary volume')
    .argument('<secondary>', 'the secondary volume: [USER@]HOST::VOLUME')
    .option('-c, --config-file <path>', "the session's gsyncd.conf (default: glusterd's)")
    .option('--pause-on-start', 'stop at once, until SIGCONT')
    .option('--local-node-id <uuid>', "this node's id (default: glusterd's)")
    .option('--use-gconf-volinfo', "take both volumes from the session's config instead of asking gluster")
    .option('--log-file <path>', 'where to log; - for the terminal')
    .option('--foreground', 'do not go into the background')
    .option('--debug', 'log everything, to the terminal, and stay in the foreground')
    .addHelpText('after', '\nExample:\n  gsyncd-ts monitor gv0 root@backup.example::sv0 --foreground --log-file -')
    .action(runMonitor);
}

async function runMonitor(primary: string, secondary: string, flags: MonitorFlags): Promise<void> {
  if (process.env[DAEMON_ENV] !== undefined) {
    delete process.env[DAEMON_ENV];
    await runAsDaemon(primary, secondary, flags);
  } else if (flags.debug === true || flags.foreground === true) {
    await superviseWorkers(primary, secondary, flags, () => undefined);
  } else {
    await startDaemon();
  }
}

/** Runs this command line again in the background. Waits until that process has started, or reports why it could not. */
async function startDaemon(): Promise<void> {
  const { startInBackground } = await import('../../process/background.js');
  const answer = await startInBackground([process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    ...process.env,
    [DAEMON_ENV]: '1',
  });
  if (answer === READY) return;
  const separator = answer.indexOf(' ');
  const [code, message] =
    separator > 0
      ? [answer.slice(0, separator), answer.slice(separator + 1)]
      : ['fault', 'start the monitor: it ended without a word'];
  throw new GsyncdError(message, { code: code as ErrorCode });
}

async function runAsDaemon(primary: string, secondary: string, flags: MonitorFlags): Promise<void> {
  let hasReported = false;
  const report = (text: string): void => {
    if (hasReported) return;
    hasReported = true;
    writeSync(FEEDBACK_FD, text);
    closeSync(FEEDBACK_FD);
  };
  try {
    await superviseWorkers(primary, secondary, flags, () => report(READY));
  } catch (error) {
    report(`${isGsyncdError(error) ? error.code : 'fault'} ${errorLine(error)}`);
    throw error;
  }
}

/** @param onStarted called when this process is the session's monitor, before the monitor starts workers */
async function superviseWorkers(
  primary: string,
  secondary: string,
  flags: MonitorFlags,
  onStarted: () => void,
): Promise<void> {
  const { Monitor } = await import('../../monitor/monitor.js');
  const { volumesFromConfig, volumesFromGluster } = await import('../../monitor/volumes.js');
  const { sessionSamples } = await import('../../metrics/node-samples.js');
  const { takePidFile } = await import('../../worker/pid-file.js');
  const { readOwnNodeId, parseSecondary } = await import('../../worker/session.js');
  const { upgradeSessionFile } = await import('../../config/edit.js');
  const name = parseSecondary(secondary);
  const sessionFile = flags.configFile ?? sessionConfigPath(GLUSTERD_WORKDIR, primary, name.host, name.volume);
  if (existsSync(fsEncode(sessionFile))) await upgradeSessionFile(sessionFile, primary, name.volume);
  const config = loadConfig({
    sessionFile,
    templateArgs: sessionTemplateArgs({
      primary,
      secondaryUser: name.user,
      secondaryHost: name.host,
      secondaryVolume: name.volume,
    }),
  });
  const lock = await takePidFile(config.get('pid-file'), `monitor of ${primary} ${secondary}`);
  const debug = flags.debug === true;
  const log = createLogger({
    destination: debug ? '-' : (flags.logFile ?? config.get('log-file')),
    level: debug ? 'DEBUG' : config.get('log-level'),
    label: 'monitor',
  });
  const mainLog = log.child({ module: 'gsyncd', fn: 'monitor' });
  for (const line of config.warnings) mainLog.warn(line);
  const signal = stopSignal(() => mainLog.info('stopping'));
  process.on('SIGHUP', () => log.reopen());
  let metrics: Awaited<ReturnType<typeof startMetrics>> = null;
  try {
    const session = dirname(config.get('state-file'));
    metrics = await startMetrics(
      flags,
      sessionSamples(() => Promise.resolve([session]), VERSION),
      (line) => mainLog.warn(line),
    );
    const localNodeId = flags.localNodeId ?? (await readOwnNodeId(config));
    const script = process.argv[1];
    if (script === undefined) throw new GsyncdError('start: program path: unknown', { code: 'fault' });
    onStarted();
    if (flags.pauseOnStart === true) stopGroup();
    await new Monitor({
      primary,
      secondary,
      localNodeId,
      config,
      log,
      debug,
      volumes: (flags.useGconfVolinfo === true ? volumesFromConfig : volumesFromGluster)(config, primary, name),
      workerCommand: [process.execPath, ...process.execArgv, script],
      configFile: flags.configFile,
    }).run(signal);
    mainLog.info('exiting.');
  } catch (error) {
    mainLog.error(errorLine(error));
    throw error;
  } finally {
    await metrics?.close();
    log.close();
    await lock.release();
  }
}

/** Stops the group as glusterd does to pause a session. The signal of `resume` wakes the monitor up. */
function stopGroup(): void {
  try {
    process.kill(-process.pid, 'SIGSTOP');
  } catch {
    process.kill(process.pid, 'SIGSTOP'); // not the leader of a group
  }
}
