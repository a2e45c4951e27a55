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

. "$HERE/machine.sh"

# take_layers: what an installation adds outside of GlusterFS's directories stays in the box. Its nodes share it.
take_layers() {
  local layers=$BOX_STATE/layers dir
  mkdir -p "$layers"
  mount -t tmpfs layers "$layers"
  for dir in /usr/local /usr/share; do
    mkdir -p "$layers$dir/upper" "$layers$dir/work"
    mount -t overlay overlay -o "lowerdir=$dir,upperdir=$layers$dir/upper,workdir=$layers$dir/work" "$dir"
  done
}

# Runs as process 1 of the box: covers the machine's state with the box's own, then runs the command.
inside() {
  set -e
  take_disks "$BOX_STATE" "$REPO"
  take_layers
  ip link set lo up
  ip link add box0 type veth peer name box1
  ip addr add 10.77.0.1/24 dev box0
  ip addr add 10.77.0.2/24 dev box0
  ip link set box0 up
  ip link set box1 up
  make_root_key
  start_sshd
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
  for node in "$BOX_STATE"/nodes/*/; do
    [ -d "$node/log" ] && mkdir -p "$saved/$(basename "$node")" && cp -a "$node/log" "$node/misc" "$saved/$(basename "$node")/" 2>/dev/null
  done
  echo "box.sh: exit code $code: logs kept in $saved" >&2
fi
[ -n "${KEEP:-}" ] || rm -rf "$BOX_STATE"
exit $code
