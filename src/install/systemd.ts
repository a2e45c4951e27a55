// The unit template for workers that systemd runs, without glusterd's monitor, and the logrotate snippet. Pure text.
// The hardening permits what a worker needs: FUSE mounts in a private namespace, trusted.* xattrs of bricks anywhere,
// low ports for GlusterFS clients, ssh and rsync.

import { join } from 'node:path';

export const UNIT_PATH = '/etc/systemd/system/gsyncd-ts-worker@.service';
export const LOGROTATE_PATH = '/etc/logrotate.d/gsyncd-ts';
const CONFIG_DIR = '/etc/gsyncd-ts';

const CAPABILITIES = [
  'CAP_SYS_ADMIN CAP_SYS_RESOURCE CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_CHOWN CAP_MKNOD',
  'CAP_SETUID CAP_SETGID CAP_KILL CAP_NET_BIND_SERVICE',
].join(' ');

/** The unit template's text. `node` and `script` are absolute paths. */
export function unitText(node: string, script: string): string {
  return `# One worker of gsyncd-ts for one brick: systemctl enable --now gsyncd-ts-worker@NAME
# NAME is any word; ${join(CONFIG_DIR, 'NAME.conf')} says what it replicates:
#   PRIMARY=gv0
#   SECONDARY=root@backup.example::sv0
#   BRICK=/bricks/b1
#   OPTIONS=--resource-remote backup2.example      (optional)
# Do not run it for a session that "gluster volume geo-replication ... start" has started.

[Unit]
Description=GlusterFS geo-replication worker %i
Documentation=man:gsyncd-ts(8)
Wants=network-online.target
After=network-online.target glusterd.service
StartLimitIntervalSec=0

[Service]
Type=exec
EnvironmentFile=${CONFIG_DIR}/%i.conf
Environment=OPTIONS=
ExecStart=${unitWord(node)} ${unitWord(script)} worker --local-path \${BRICK} $OPTIONS \${PRIMARY} \${SECONDARY}
ExecReload=kill -HUP $MAINPID
Restart=always
RestartPreventExitStatus=2
# systemd before 254 does not know the two keys after this one, and waits as long each time.
RestartSec=5
RestartSteps=6
RestartMaxDelaySec=120
KillMode=mixed
TimeoutStopSec=30

PrivateMounts=yes
PrivateTmp=yes
NoNewPrivileges=yes
ProtectSystem=full
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=mnt
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
DevicePolicy=closed
DeviceAllow=/dev/fuse rw
CapabilityBoundingSet=${CAPABILITIES}

[Install]
WantedBy=multi-user.target
`;
}

/** systemd interprets double quotes, backslashes, % and $. */
function unitWord(path: string): string {
  const escaped = path.replaceAll(/[\\"]/g, '\\$&').replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w./%$+:@-]+$/.test(path) ? escaped : `"${escaped}"`;
}

const LOG_DIR = '/var/log/glusterfs';

/** The logrotate snippet for the logs of sessions. Workers reopen their log at SIGHUP. logrotate runs as root and follows
 *  symlinks to directories, so it skips directories that the mount broker's group can write to. */
export function logrotateText(): string {
  return `# Logs of geo-replication sessions (gsyncd-ts).
${LOG_DIR}/geo-replication/*/*.log
{
${ROTATION}}

# Only while all of this is root's alone. The mount broker's group may write here: for its users' logs, use a snippet with
# "su USER GROUP" that names one of them, never root.
${LOG_DIR}/geo-replication-secondaries/*.log
${LOG_DIR}/geo-replication-secondaries/*/*.log
{
	firstaction
		test -z "$(find ${LOG_DIR}/geo-replication-secondaries -maxdepth 1 \\( -perm /022 -o ! -uid 0 \\) -print -quit)"
	endscript
${ROTATION}}
`;
}

const ROTATION = `	weekly
	rotate 12
	missingok
	notifempty
	nocreate
	compress
	delaycompress
	sharedscripts
	postrotate
		pkill -HUP -f '^[^ ]*node [^ ]*/gsyncd-ts(\\.js)? (worker|monitor) ' || true
		pkill -HUP -f '^[^ ]*glusterfs .*--aux-gfid-mount ' || true
	endscript
`;
