// Every option of a geo-replication session, with the names, defaults and meanings of GlusterFS's gsyncd.conf. The
// Config type is inferred from this table, so code cannot read an option that is not here. values.ts converts texts to
// values.

const LEVELS = ['ERROR', 'INFO', 'WARNING', 'DEBUG'] as const;
const SESSION = '${primary}_${primary_secondary_host}_${secondaryvol}';
const PRIMARY_LOGS = '${gluster_logdir}/geo-replication/' + SESSION;
const SECONDARY_LOGS = '${gluster_logdir}/geo-replication-secondaries/' + SESSION;
const SSH = '-oPasswordAuthentication=no -oStrictHostKeyChecking=no -i ${glusterd_workdir}/geo-replication';

interface OptionBase {
  /** The default, as it would stand in a file. */
  readonly value: string;
  readonly help: string;
  /** Whether `${variable}` in the text is replaced. */
  readonly template?: true;
  /** Absent: an admin may set the option with `config`. A file may hold it in any case. */
  readonly configurable?: false;
  /** Only this program has the option; stock and its gsyncd.conf do not. */
  readonly own?: true;
  /** A running worker reads `live` options again. Absent: a change takes a restart. */
  readonly reload?: 'live';
}

export type OptionSpec = OptionBase &
  (
    | { readonly type: 'string'; readonly validation?: 'path' | 'execpath' }
    | { readonly type: 'int'; readonly min: number; readonly max?: number }
    | { readonly type: 'int'; readonly validation: 'unixtime' }
    | { readonly type: 'bool' }
    | { readonly type: 'choice'; readonly allowed: readonly string[] }
  );

// prettier-ignore
export const OPTIONS = {
  // Detection and choice of changes
  'change-detector': { type: 'choice', allowed: ['changelog', 'xsync'], value: 'changelog', help: 'How the worker finds changes' },
  'change-interval': { type: 'int', min: 1, value: '5', help: 'Seconds between scans for new changelogs' },
  'follow-open-changelog': { type: 'bool', value: 'false', own: true, help: 'Send changes as they are recorded, instead of when their changelog closes' },
  'changelog-batch-size': { type: 'int', min: 1, value: '727040', help: 'Bytes of changelogs that form one batch' },
  'changelog-archive-format': { type: 'string', value: '%Y%m', help: 'strftime pattern in the names of the archives of processed changelogs' },
  'special-sync-mode': { type: 'choice', allowed: ['', 'normal', 'partial', 'recover'], value: '', help: 'Failover and failback: partial, recover; empty for normal' },
  'ignore-deletes': { type: 'bool', value: 'false', help: 'Keep files on the secondary that were deleted on the primary' },
  'gfid-conflict-resolution': { type: 'bool', value: 'true', help: 'Replace an entry on the secondary that has the same name and another gfid; otherwise the name goes to the failure list' },
  'checkpoint': { type: 'int', validation: 'unixtime', reload: 'live', value: '0', help: 'Unix time: the status reports when all changes before it are synced; 0 for none' },
  'stime-xattr-prefix': { type: 'string', value: '', help: 'Prefix of the stime xattrs' },
  'replica-failover-interval': { type: 'int', min: 0, value: '1', help: 'Minimum seconds that a passive worker waits before it becomes active' },
  'use-meta-volume': { type: 'bool', value: 'false', help: 'Elect the active worker by a lock in the meta volume' },
  'meta-volume-mnt': { type: 'string', value: '/run/gluster/shared_storage', help: 'Mount point of the meta volume' },

  // Data transfer
  'sync-method': { type: 'choice', allowed: ['tarssh', 'rsync'], value: 'rsync', help: 'How the worker transfers data' },
  'sync-jobs': { type: 'int', min: 1, max: 100, value: '3', help: 'Concurrent data transfers' },
  'sync-xattrs': { type: 'bool', value: 'true', help: 'Sync extended attributes' },
  'sync-acls': { type: 'bool', value: 'true', help: 'Sync POSIX ACLs' },
  'small-file-size': { type: 'int', min: 0, max: 1048576, value: '65536', own: true, help: 'Maximum size, in bytes, of files that travel over the RPC instead of rsync or tar; needs a gsyncd-ts secondary and empty rsync-options; 0 disables it' },
  'max-rsync-retries': { type: 'int', min: 1, value: '10', help: 'Attempts before a file goes to the failure list' },
  'rsync-command': { type: 'string', validation: 'execpath', value: 'rsync', help: 'The rsync program' },
  'rsync-options': { type: 'string', value: '', help: 'Further arguments for rsync' },
  'rsync-ssh-options': { type: 'string', value: '', help: 'Further arguments for the ssh that rsync runs' },
  'rsync-opt-existing': { type: 'bool', value: 'true', help: 'Run rsync with --existing' },
  'rsync-opt-ignore-missing-args': { type: 'bool', value: 'true', help: 'Run rsync with --ignore-missing-args' },
  'use-rsync-xattrs': { type: 'bool', value: 'false', help: 'Do not set the stime on the secondary after a crawl, since rsync carries it as an xattr; ignored by a gsyncd-ts secondary' },
  'log-rsync-performance': { type: 'bool', reload: 'live', value: 'false', help: "Log rsync's statistics" },
  'tar-command': { type: 'string', validation: 'execpath', value: 'tar', help: 'The tar program' },

  // Connection to the secondary
  'ssh-command': { type: 'string', validation: 'execpath', value: 'ssh', help: 'The ssh program' },
  'ssh-port': { type: 'int', min: 1, max: 65535, value: '22', help: 'Port of the secondary\'s sshd' },
  'ssh-options': { type: 'string', template: true, value: `${SSH}/secret.pem`, help: 'Arguments for ssh' },
  'ssh-options-tar': { type: 'string', template: true, value: `${SSH}/tar_ssh.pem`, help: 'Arguments for ssh when tar sends' },
  'remote-gsyncd': { type: 'string', value: '', help: 'Path of gsyncd on the secondary, for keys without a forced command' },
  'secondary-timeout': { type: 'int', min: 0, value: '120', help: 'Seconds without a call from the primary after which the secondary exits; 0 disables it' },
  'connection-timeout': { type: 'int', min: 1, value: '60', help: 'Timeout of a mount, in seconds' },
  'allow-network': { type: 'string', value: '', help: 'Accepted only: no daemon of geo-replication listens on a network; sshd decides who may connect' },
  'isolated-secondarys': { type: 'string', value: '', help: 'Hosts or node ids of the secondary, separated by commas, that no worker connects to' },

  // Gluster programs and mounts
  'gluster-command': { type: 'string', validation: 'execpath', value: 'gluster', help: 'Accepted only: gluster is started from gluster-command-dir' },
  'gluster-command-dir': { type: 'string', value: '/usr/sbin', help: 'Directory of the Gluster programs on the primary' },
  'secondary-gluster-command-dir': { type: 'string', value: '/usr/sbin', help: "Directory of the Gluster programs on the secondary; if a session's key starts the secondary and this is not a usual directory, the secondary uses its own gsyncd.conf's" },
  'gluster-cli-options': { type: 'string', value: '', help: 'Further arguments of the gluster program that requests mounts from the mount broker; read on the secondary' },
  'gluster-params': { type: 'string', value: 'aux-gfid-mount acl', help: 'Options of the mount of the primary volume' },
  'secondary-gluster-params': { type: 'string', value: 'aux-gfid-mount acl', help: 'Options of the mount of the secondary volume' },
  'access-mount': { type: 'bool', value: 'false', help: 'Keep the mount of the primary volume reachable, for debugging' },
  'secondary-access-mount': { type: 'bool', value: 'false', help: 'Accepted only: the mount of the secondary volume is always reachable, since rsync needs its path' },

  // Volume facts that a session may carry, for daemons that cannot read the volume info
  'primary-bricks': { type: 'string', configurable: false, value: '', help: 'Bricks of the primary volume' },
  'secondary-bricks': { type: 'string', configurable: false, value: '', help: 'Bricks of the secondary volume' },
  'primary-volume-id': { type: 'string', configurable: false, value: '', help: 'Uuid of the primary volume' },
  'secondary-volume-id': { type: 'string', configurable: false, value: '', help: 'Uuid of the secondary volume' },
  'primary-replica-count': { type: 'int', min: 0, configurable: false, value: '1', help: 'Replica count of the primary volume' },
  'primary-disperse-count': { type: 'int', min: 0, configurable: false, value: '1', help: 'Disperse count of the primary volume' },
  'primary-distribution-count': { type: 'int', min: 0, configurable: false, value: '1', help: 'Distribution count of the primary volume' },

  // Directories and files
  'glusterd-workdir': { type: 'string', validation: 'path', value: '/var/lib/glusterd', help: 'State of glusterd' },
  'gluster-logdir': { type: 'string', validation: 'path', value: '/var/log/glusterfs', help: 'Log directory of Gluster' },
  'gluster-rundir': { type: 'string', validation: 'path', value: '/var/run/gluster', help: 'Runtime directory of Gluster' },
  'gsyncd-miscdir': { type: 'string', validation: 'path', value: '/var/lib/misc/gluster/gsyncd', help: 'Parent of the working directories' },
  'georep-session-working-dir': { type: 'string', validation: 'path', template: true, configurable: false, value: '${glusterd_workdir}/geo-replication/' + SESSION + '/', help: 'Directory of the session' },
  'working-dir': { type: 'string', validation: 'path', template: true, configurable: false, value: '${gsyncd_miscdir}/' + SESSION + '/', help: 'Directory of changelogs that are being processed' },
  'state-file': { type: 'string', validation: 'path', template: true, configurable: false, value: '${glusterd_workdir}/geo-replication/' + SESSION + '/monitor.status', help: 'Status of the session' },
  'pid-file': { type: 'string', validation: 'path', template: true, configurable: false, value: '${gluster_rundir}/gsyncd-${primary}-${primary_secondary_host}-${secondaryvol}.pid', help: 'Pid file of the monitor' },
  'state-socket-unencoded': { type: 'string', value: '', help: 'Accepted only: kept for old session files' },

  // Logs
  'log-file': { type: 'string', template: true, configurable: false, value: `${PRIMARY_LOGS}/gsyncd.log`, help: 'Log of the session; - for the terminal' },
  'log-level': { type: 'choice', allowed: LEVELS, value: 'INFO', help: 'Log level' },
  'cli-log-file': { type: 'string', template: true, configurable: false, value: '${gluster_logdir}/geo-replication/cli.log', help: 'Log of commands' },
  'cli-log-level': { type: 'choice', allowed: LEVELS, value: 'INFO', help: 'Log level of commands' },
  'changelog-log-file': { type: 'string', template: true, configurable: false, value: `${PRIMARY_LOGS}/changes-\${local_id}.log`, help: 'Accepted only: the changelog agent is part of the worker, and logs where it does' },
  'changelog-log-level': { type: 'choice', allowed: LEVELS, value: 'INFO', help: 'Accepted only: log-level also applies to the changelog agent' },
  'gluster-log-file': { type: 'string', template: true, configurable: false, value: `${PRIMARY_LOGS}/mnt-\${local_id}.log`, help: 'Log of the mount of the primary volume' },
  'gluster-log-level': { type: 'choice', allowed: LEVELS, value: 'INFO', help: 'Log level of the mount of the primary volume' },
  'secondary-log-file': { type: 'string', template: true, configurable: false, value: `${SECONDARY_LOGS}/gsyncd.log`, help: 'Log of the secondary' },
  'secondary-log-level': { type: 'choice', allowed: LEVELS, value: 'INFO', help: 'Log level of the secondary' },
  'secondary-gluster-log-file': { type: 'string', template: true, configurable: false, value: `${SECONDARY_LOGS}/mnt-\${primary_node}-\${primary_brick_id}.log`, help: 'Log of the mount of the secondary volume' },
  'secondary-gluster-log-file-mbr': { type: 'string', template: true, configurable: false, value: `${SECONDARY_LOGS}/mnt-mbr-\${primary_node}-\${primary_brick_id}.log`, help: 'Accepted only: a mount through the mount broker logs to secondary-gluster-log-file' },
  'secondary-gluster-log-level': { type: 'choice', allowed: LEVELS, value: 'INFO', help: 'Log level of the mount of the secondary volume' },
} as const satisfies Record<string, OptionSpec>;

type Table = typeof OPTIONS;

export type OptionName = keyof Table;

type ValueOf<S> = S extends { readonly type: 'int' }
  ? number
  : S extends { readonly type: 'bool' }
    ? boolean
    : S extends { readonly type: 'choice'; readonly allowed: readonly (infer C)[] }
      ? C
      : string;

/** The type that `config.get(name)` returns. */
export type OptionValue<N extends OptionName> = ValueOf<Table[N]>;

/** Options that a running worker follows. When they change, glusterd restarts nothing. */
export type LiveOptionName = {
  [N in OptionName]: Table[N] extends { readonly reload: 'live' } ? N : never;
}[OptionName];

/** All names, in the table's order. */
export const OPTION_NAMES = Object.keys(OPTIONS) as readonly OptionName[];

export function optionSpec(name: OptionName): OptionSpec {
  return OPTIONS[name];
}

/** Options that older releases called differently. Still older releases spelled all options with `_`. */
const RENAMED: Readonly<Record<string, OptionName>> = { timeout: 'secondary-timeout' };

/** Translates a name or a template variable of old releases, which said slave and master. */
export function modernizeName(name: string): string {
  return name.replaceAll('slave', 'secondary').replaceAll('master', 'primary');
}

/** The option that `key` means, in any of its spellings; undefined when there is none. */
export function findOption(key: string): OptionName | undefined {
  const name = modernizeName(key.toLowerCase().replaceAll('_', '-'));
  const renamed = Object.hasOwn(RENAMED, name) ? RENAMED[name] : name;
  return OPTION_NAMES.find((known) => known === renamed);
}
