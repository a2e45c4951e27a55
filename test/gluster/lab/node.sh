#!/bin/bash
# node.sh NAME ADDRESS: inside a box, a machine beside the box's own: a node with its own processes, network, disks, host
# name and sshd, joined to the box's other nodes and to the box itself by the bridge `lan`. Prints `ready`, then lives
# until it is killed, and everything in it with it. Its disks outlast it: starting NAME again is a reboot. The box's end
# of its link is the interface `to-NAME`. Needs BOX_STATE, the box's state directory.
set -eu
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$HERE/../../.." && pwd)
. "$HERE/machine.sh"

if [ "$1" = --inside ]; then
  hostname "$2"
  take_disks "$BOX_STATE/nodes/$2" "$REPO"
  start_sshd
  mkfifo /run/forever
  echo ready
  # Waits until it is killed, in the shell itself, which as process 1 has to reap what daemonizes.
  read -r _ <>/run/forever
  exit
fi

name=$1 address=$2 state=$BOX_STATE/nodes/$1
# Nodes that start at once share the bridge.
exec 9>"$BOX_STATE/lan.lock"
flock 9
if ! ip link show lan >/dev/null 2>&1; then
  ip link add lan type bridge
  ip addr add 10.78.0.254/24 dev lan
  ip link set lan up
fi
if [ ! -d "$state" ]; then
  mkdir -p "$state"
  cp -a "$BOX_STATE/seed" "$state/seed"
  cp -a /root/.ssh "$state/ssh"
fi
ip link delete "to-$name" 2>/dev/null || true
ip netns delete "$name" 2>/dev/null || true
ip netns add "$name"
ip link add "to-$name" type veth peer name lan0 netns "$name"
ip link set "to-$name" master lan up
ip -n "$name" link set lo up
ip -n "$name" addr add "$address/24" dev lan0
ip -n "$name" link set lan0 up
exec 9>&-
exec nsenter --net="/run/netns/$name" \
  unshare --pid --fork --mount --uts --mount-proc --propagation private --kill-child bash "${BASH_SOURCE[0]}" --inside "$name"
