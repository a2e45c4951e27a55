// `gsyncd-ts secondary`: the secondary's side of one worker's connection. The primary starts it over ssh and uses its
// stdin and stdout as the connection. So nothing else may write to stdout.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { loadConfig, type LoadConfigOptions } from '../../config/config.js';
import { escapePath, sessionTemplateArgs } from '../../config/template.js';
import { fileUrlPath } from '../../worker/directory/file-url.js';
import { parseSecondary } from '../../worker/session.js';
import { errorLine } from '../../errors.js';
import { createLogger, type Log } from '../../log.js';
import { findUnrestrictedTarKeys } from '../../install/key-files.js';
import { DISPATCHED_ENV } from '../forced/forced-command-line.js';
import { resolveProgramDirectory } from '../gluster-program.js';
import { wholeNumberText } from '../option-values.js';
import { stateHome } from '../state-home.js';

interface SecondaryFlags {
  readonly primaryBrick?: string;
  readonly masterBrick?: string;
  readonly primaryNode?: string;
  readonly masterNode?: string;
  readonly primaryNodeId?: string;
  readonly masterNodeId?: string;
  readonly localNode?: string;
  readonly localNodeId?: string;
  readonly configFile?: string;
  readonly debug?: true;
  readonly secondaryTimeout?: string;
  readonly slaveTimeout?: string;
  readonly secondaryLogLevel?: string;
  readonly slaveLogLevel?: string;
  readonly secondaryGlusterLogLevel?: string;
  readonly slaveGlusterLogLevel?: string;
  readonly secondaryGlusterCommandDir?: string;
  readonly slaveGlusterCommandDir?: string;
  readonly primaryDistCount?: string;
  readonly masterDistCount?: string;
  readonly logFile?: string;
  readonly mountbroker?: string;
  readonly printId?: true;
}

export function addSecondaryCommand(program: Command): void {
  const command = program
    .command('secondary')
    .alias('slave')
    .description(
      'serve one worker of PRIMARY, over stdin and stdout, on a node of SECONDARY; primaries start it over ssh',
    )
    .argument('<primary>', 'name of the primary volume')
    .argument('<secondary>', 'the secondary volume: [USER@]HOST::VOLUME; or a plain directory: file:///PATH')
    .option('--primary-node <host>', "the worker's node")
    .option('--primary-node-id <uuid>', 'its id')
    .option('--primary-brick <path>', "the worker's brick")
    .option('--primary-dist-count <n>', 'distribution count of the primary volume', wholeNumberText)
    .option('--local-node <host>', 'this node, as the primary calls it')
    .option('--local-node-id <uuid>', 'its id')
    .option(
      '--secondary-timeout <s>',
      'end when the primary is silent for so many seconds; 0 for never',
      wholeNumberText,
    )
    .option('--secondary-log-level <level>', 'how much to log')
    .option('--secondary-gluster-log-level <level>', "how much the volume's mount logs")
    .option('--secondary-gluster-command-dir <path>', 'where the Gluster programs are')
    .option('--secondary-access-mount', 'accepted: the mount is always reachable')
    .option('--use-rsync-xattrs', 'accepted: rsync brings what it brings')
    .option('--session-owner <uuid>', 'accepted for older primaries')
    .option(
      '--mountbroker <label>',
      "mount through glusterd's mount broker under this label (default for other users than root: their name)",
    )
    .option('-c, --config-file <path>', "a session's gsyncd.conf (default: none)")
    .option('--print-id', 'plain directories: print what identifies it, and end')
    .option('--log-file <path>', 'where to log; - for stderr')
    .option('--debug', 'log everything, to stderr')
    .addHelpText(
      'after',
      '\nExample:\n  gsyncd-ts secondary gv0 backup.example::sv0 --primary-node node1 --primary-brick /bricks/b1 --secondary-timeout 120',
    )
    .action(runSecondaryCommand);
  const old = [
    '--slave-timeout <s>',
    '--slave-log-level <level>',
    '--slave-gluster-log-level <level>',
    '--slave-gluster-command-dir <path>',
    '--slave-access-mount',
  ];
  const older = ['--master-node <host>', '--master-node-id <uuid>', '--master-brick <path>', '--master-dist-count <n>'];
  for (const flag of [...old, ...older])
    command.addOption(new Option(flag, 'the same, as older primaries spell it').hideHelp());
}

async function runSecondaryCommand(primary: string, secondary: string, flags: SecondaryFlags): Promise<void> {
  const directory = fileUrlPath(secondary);
  if (directory !== null && flags.printId === true) return printId(directory);
  const { user, host, volume } =
    directory === null ? parseSecondary(secondary) : { user: '', host: 'localhost', volume: directory };
  const primaryNode = flags.primaryNode ?? flags.masterNode ?? '';
  const primaryBrick = flags.primaryBrick ?? flags.masterBrick ?? '';
  const requestedDir = flags.secondaryGlusterCommandDir ?? flags.slaveGlusterCommandDir;
  const programDir =
    requestedDir === undefined || process.env[DISPATCHED_ENV] === undefined
      ? requestedDir
      : await resolveProgramDirectory(requestedDir);
  const config = loadConfig({
    sessionFile: flags.configFile,
    templateArgs: {
      ...sessionTemplateArgs({ primary, secondaryUser: user, secondaryHost: host, secondaryVolume: volume }),
      primary_node: primaryNode,
      primary_brick: primaryBrick,
      primary_brick_id: escapePath(primaryBrick),
      local_node: flags.localNode,
      local_node_id: flags.localNodeId,
    },
    overrides: { ...overridesFrom(flags), 'secondary-gluster-command-dir': programDir },
  });
  const debug = flags.debug === true;
  const log = createLogger({
    destination: debug
      ? '-'
      : (flags.logFile ?? (directory === null ? config.get('secondary-log-file') : prepareDirectoryLog(directory))),
    level: debug ? 'DEBUG' : config.get('secondary-log-level'),
    label: `secondary ${primaryNode}${primaryBrick}`.trim(),
  });
  const mainLog = log.child({ module: 'gsyncd', fn: 'secondary' });
  for (const line of config.warnings) mainLog.warn(line);
  if (process.env[DISPATCHED_ENV] !== undefined) await warnOfUnrestrictedTarKeys(mainLog);
  if (requestedDir !== undefined && programDir === undefined)
    mainLog.warn('ignoring --secondary-gluster-command-dir: the Gluster programs of this node are elsewhere', {
      named: requestedDir,
      used: config.get('secondary-gluster-command-dir'),
    });

  const stop = new AbortController();
  const onTerm = (): void => {
    if (stop.signal.aborted) process.exit(1);
    stop.abort();
  };
  process.on('SIGTERM', onTerm).on('SIGINT', onTerm);
  process.on('SIGHUP', () => log.reopen());
  try {
    const { defaultMountLabel, runSecondary } = await import('../../serve/secondary.js');
    const mountLabel = flags.mountbroker ?? defaultMountLabel();
    const served = directory === null ? { volume } : { directory };
    await runSecondary({ served, config, log, mountLabel, input: process.stdin, output: process.stdout }, stop.signal);
    mainLog.info('exiting.');
  } catch (error) {
    mainLog.error(errorLine(error));
    throw error;
  } finally {
    log.close();
  }
}

/** For each new session glusterd adds a tar key in GlusterFS's unrestricted form. */
async function warnOfUnrestrictedTarKeys(log: Log): Promise<void> {
  try {
    for (const path of await findUnrestrictedTarKeys(process.geteuid?.() ?? 0))
      log.warn('tar keys let their holders run any program: run "gsyncd-ts install --tar-keys"', { path });
  } catch (error) {
    log.debug('cannot read authorized_keys', { error: errorLine(error) });
  }
}

/** Prints the facts about the directory that a worker on another node needs before it connects. */
async function printId(directory: string): Promise<void> {
  const { openLayout } = await import('../../embedded/layout.js');
  const { identity } = await openLayout(directory);
  process.stdout.write(`${JSON.stringify({ volumeId: identity.volumeId, uid: process.geteuid?.() ?? 0 })}\n`);
}

/** An ordinary user cannot write to GlusterFS's log directory. */
function prepareDirectoryLog(directory: string): string {
  const dir = join(stateHome(), 'gsyncd-ts', `secondary_${escapePath(directory)}`);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  return join(dir, 'gsyncd.log');
}

/** The secondary has no session file, so the primary's options take its place. */
function overridesFrom(flags: SecondaryFlags): NonNullable<LoadConfigOptions['overrides']> {
  return {
    'secondary-timeout': flags.secondaryTimeout ?? flags.slaveTimeout,
    'secondary-log-level': flags.secondaryLogLevel ?? flags.slaveLogLevel,
    'secondary-gluster-log-level': flags.secondaryGlusterLogLevel ?? flags.slaveGlusterLogLevel,
    'primary-distribution-count': flags.primaryDistCount ?? flags.masterDistCount,
  };
}
