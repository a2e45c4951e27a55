#!/bin/bash
# box.sh COMMAND...: runs COMMAND as root of a machine of its own: private pid, network and mount namespaces, fresh
# GlusterFS state, an sshd on 10.77.0.1 that accepts root's key, and private /run, /tmp, /mnt, /srv and ~root/.ssh.
# Everything started inside ends with COMMAND, and boxes run side by side. Exit code: COMMAND's.
#   BOX_STATE=dir  where the state lives (made when missing; default: a new directory in /var/tmp)
#   KEEP=1         keep the state at the end and print where; without it the state is removed, and when COMMAND
#                  failed its logs are copied first and their place is printed on stderr
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$HERE/../../.." && pwd)

# Runs as process 1 of the box: covers the machine's state with the box's own, then runs the command.
inside() {
  set -e
  local repo_view="$BOX_STATE/repo" name target
  mkdir -p "$repo_view"
  mount --bind "$REPO" "$repo_view"
  for pair in glusterd:/var/lib/glusterd misc:/var/lib/misc log:/var/log/glusterfs ssh:/root/.ssh mnt:/mnt \
              bricks:/srv tmp:/tmp run:/run; do
    name=${pair%%:*} target=${pair#*:}
    mkdir -p "$BOX_STATE/$name" "$target"
    mount --bind "$BOX_STATE/$name" "$target"
    # A checkout under one of these places must stay visible where it was.
    case "$REPO/" in
      "$target"/*) mkdir -p "$REPO"; mount --bind "$repo_view" "$REPO" ;;
    esac
  done
  # What root's shells run at a login is the machine's affair: it may take locks that a box that is ended leaves behind.
  for name in .bashrc .profile .bash_profile .bash_login; do
    if [ -e "/root/$name" ]; then mount --bind /dev/null "/root/$name"; fi
  done
  chmod 1777 /tmp
  chmod 700 /root/.ssh
  mkdir -p /run/gluster /run/sshd /run/lock
  cp -a "$BOX_STATE/seed/." /var/lib/glusterd/

  ip link set lo up
  ip link add box0 type veth peer name box1
  ip addr add 10.77.0.1/24 dev box0
  ip addr add 10.77.0.2/24 dev box0
  ip link set box0 up
  ip link set box1 up

  ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519 </dev/null
  cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
  printf '%s\n' 'StrictHostKeyChecking no' 'UserKnownHostsFile /dev/null' 'LogLevel ERROR' >/root/.ssh/config
  chmod 600 /root/.ssh/*
  ssh-keygen -q -t ed25519 -N '' -f /run/sshd/host_key </dev/null
  /usr/sbin/sshd -f /dev/null -h /run/sshd/host_key -o UsePAM=yes -o PermitRootLogin=yes -o MaxStartups=200 \
    -o MaxSessions=200 -o 'Subsystem=sftp internal-sftp' -o PidFile=/run/sshd.pid -E /var/log/glusterfs/sshd.log
  set +e
  "$@"
}

if [ "${1:-}" = --inside ]; then
  shift
  inside "$@"
  exit $?
fi

. "$HERE/packages.sh"
[ $# -gt 0 ] || { echo "box.sh: no command given" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "box.sh: needs root" >&2; exit 2; }
need_gluster || exit 2
export BOX_STATE=${BOX_STATE:-$(mktemp -d /var/tmp/gsyncd-box.XXXXXX)}
mkdir -p "$BOX_STATE/seed"
for part in groups hooks options; do
  [ -e /var/lib/glusterd/$part ] && cp -a /var/lib/glusterd/$part "$BOX_STATE/seed/"
done

# A signal ends process 1 of the box; unshare ends when everything in the box has, and then the state can go.
unset TMPDIR
exec 9<&0
unshare --pid --fork --net --mount --mount-proc --propagation private --kill-child \
  bash "${BASH_SOURCE[0]}" --inside "$@" <&9 &
BOX=$!
trap 'pkill -KILL -P $BOX' TERM INT HUP
wait $BOX
code=$?
while kill -0 $BOX 2>/dev/null; do wait $BOX; code=$?; done

if [ -n "${KEEP:-}" ]; then
  echo "box.sh: state kept in $BOX_STATE" >&2
elif [ $code != 0 ]; then
  saved=$(mktemp -d /var/tmp/gsyncd-box-failed.XXXXXX)
  cp -a "$BOX_STATE/log" "$BOX_STATE/misc" "$saved/" 2>/dev/null
  cp -a "$BOX_STATE/glusterd/geo-replication" "$saved/session" 2>/dev/null
  echo "box.sh: exit code $code: logs kept in $saved" >&2
fi
[ -n "${KEEP:-}" ] || rm -rf "$BOX_STATE"
exit $code
