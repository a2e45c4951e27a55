#!/bin/bash
# systemd.sh: inside a box, systemd as process 1 of a process namespace beside the box's own, with a control group tree and
# an /etc of its own. It knows no units but those of $UNITS, which are empty targets, and of its /etc/systemd/system, where
# a test puts what it tries. Lives until it is told to end.
set -eu
UNITS=/run/units
ETC=/srv/systemd-etc

if [ "${1:-}" = --inside ]; then
  mount -t tmpfs etc "$ETC"
  mkdir "$ETC/upper" "$ETC/work"
  mount -t overlay overlay -o "lowerdir=/etc,upperdir=$ETC/upper,workdir=$ETC/work" /etc
  umount -R /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  exec env -i container=box SYSTEMD_UNIT_PATH="/etc/systemd/system:$UNITS" PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=box.target --log-target=console --show-status=no
fi

mkdir -p "$UNITS" "$ETC"
for name in box basic sysinit shutdown multi-user network-online; do
  printf '[Unit]\nDefaultDependencies=no\n' >"$UNITS/$name.target"
done
unified=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
group=$(mktemp -d "$unified/gsyncd-box-XXXXXX")
bash -c 'echo $$ >"$1/cgroup.procs"; exec unshare --cgroup --pid --fork --mount --mount-proc --propagation private --kill-child bash "$2" --inside' \
  sh "$group" "${BASH_SOURCE[0]}" &
child=$!
trap 'kill -KILL $child' TERM INT HUP
while kill -0 $child 2>/dev/null; do wait $child || true; done
# A group goes when its last process has been taken apart.
for _ in $(seq 50); do
  find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
  sleep 0.1
done
