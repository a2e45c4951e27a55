#!/bin/bash
# top-capture.sh DIRECTORY: takes pictures, as text, of the live view on a real volume: during a first sync, while changes
# follow live, and with files that cannot be synced. Runs in a box with two volumes and a session; needs tmux. Leaves
# first-sync.txt, live.txt and failure.txt in DIRECTORY, 80 columns wide, and as .ansi the same with colours.
set -eu
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$HERE/../.." && pwd)
HOST=10.77.0.1
GSYNCD="node $REPO/bin/gsyncd-ts.js"

# picture NAME: waits for a whole frame and keeps it.
picture() {
  sleep 1.5
  tmux -L top capture-pane -e -p -t top >"$OUT/$1.ansi"
  sed -e 's/\x1b\[[0-9;]*m//g' -e 's/[[:space:]]*$//' -e '/^q quits/d' "$OUT/$1.ansi" | awk '{ lines[NR] = $0 } NF { last = NR } END { for (i = 1; i <= last; i++) print lines[i] }' >"$OUT/$1.txt"
  echo "== $1"; cat "$OUT/$1.txt"
}

# until SECONDS COMMAND...
until_true() {
  local end=$((SECONDS + $1)); shift
  until "$@"; do [ $SECONDS -lt $end ] || { echo "top-capture: not in time: $*" >&2; exit 1; }; sleep 0.3; done
}

json() { $GSYNCD top --json | python3 -c "import json, sys; b = json.load(sys.stdin)['sessions'][0]['bricks'][0]; sys.exit(0 if ($1) else 1)"; }

inside() {
  local volume
  glusterd
  until gluster --mode=script pool list >/dev/null 2>&1; do sleep 0.1; done
  for volume in gv0 sv0; do
    gluster --mode=script volume create $volume $HOST:/srv/${volume}_1 force >/dev/null
    gluster --mode=script volume start $volume >/dev/null
    mkdir -p /mnt/$volume
    glusterfs --acl -s $HOST --volfile-id $volume /mnt/$volume
  done
  gluster --mode=script system:: execute gsec_create >/dev/null
  gluster --mode=script volume geo-replication gv0 $HOST::sv0 create push-pem >/dev/null
  until grep -q gsyncd /root/.ssh/authorized_keys; do sleep 0.1; done
  gluster --mode=script volume set gv0 changelog.rollover-time 3 >/dev/null
  python3 - <<'END'
import os
for i in range(12000):
    d = '/mnt/gv0/tree/%03d' % (i % 200)
    os.makedirs(d, exist_ok=True)
    with open('%s/file%05d' % (d, i), 'wb') as f: f.write(b'%d\n' % i * (1 + i % 3000))
END
  $GSYNCD worker gv0 root@$HOST::sv0 --local-path /srv/gv0_1 --log-file /var/log/glusterfs/worker.log &
  worker=$!
  export LC_ALL=C.UTF-8
  tmux -L top -f /dev/null new-session -d -s top -x 80 -y 24 "$GSYNCD top --interval 1"
  until_true 90 json "b['firstSync'] and b['firstSync']['synced'] > 3000 and b['rates']['files'] > 0"
  picture first-sync
  until_true 180 json "b['lag'] == 0 and b['crawl'] == 'Changelog Crawl'"
  (for i in $(seq 400); do
    for j in 1 2 3 4 5 6 7 8; do head -c $((20000 + RANDOM)) /dev/urandom >"/mnt/gv0/tree/$(printf %03d $((RANDOM % 200)))/live$i.$j"; done
    sleep 0.1
  done) &
  writer=$!
  sleep 25
  picture live
  kill $writer 2>/dev/null || true
  until_true 60 json "b['lag'] == 0"
  # A name that a stock secondary cannot take, and a symlink whose target it cannot.
  python3 -c "
import os
for i in range(3): os.symlink(b'/mnt/old/caf\\xe9 %d' % i, b'/mnt/gv0/tree/link%d' % i)"
  until_true 90 json "b['failures']['count'] > 0"
  picture failure
  tmux -L top kill-server
  kill -TERM $worker
  wait $worker || true
}

if [ "${1:-}" = --inside ]; then OUT=$2; inside; exit; fi
OUT=$(mkdir -p "${1:?directory for the pictures}" && cd "$1" && pwd)
command -v tmux >/dev/null || { echo "top-capture: tmux is missing" >&2; exit 2; }
# The box has its own /tmp, but shares the machine's /var/tmp.
state=$(mktemp -d /var/tmp/gsyncd-top.XXXXXX)
BOX_STATE=$state/box "$HERE/lab/box.sh" bash "$HERE/top-capture.sh" --inside "$state"
cp "$state"/*.txt "$state"/*.ansi "$OUT/"
rm -rf "$state"
