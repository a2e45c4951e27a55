#!/bin/bash
# npm start: shows the worker at work on this machine. Installs what is missing, builds, brings up two GlusterFS volumes
# with a geo-replication session in a box of their own (see lab/box.sh), runs the worker by hand on the primary's brick,
# lets it sync a tree and then live changes, compares both volumes in full and ends. Nothing stays behind.
set -eu
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$HERE/../.." && pwd)
HOST=10.77.0.1

# converged: waits until both volumes are equal, and sets `entries`.
converged() {
  local result
  result=$(python3 "$HERE/lab/tree.py" --wait 60 /mnt/gv0 /mnt/sv0) || { echo "demo: the volumes differ: $result"; tail -20 "$LOG"; exit 1; }
  entries=$(python3 -c 'import json, sys; print(json.loads(sys.argv[1])["entries"])' "$result")
}

volumes() {
  local volume
  glusterd
  until gluster --mode=script pool list >/dev/null 2>&1; do sleep 0.1; done
  for volume in gv0 sv0; do
    gluster --mode=script volume create $volume $HOST:/srv/${volume}_1 force
    gluster --mode=script volume start $volume
    mkdir -p /mnt/$volume
    glusterfs --acl -s $HOST --volfile-id $volume /mnt/$volume
  done
  gluster --mode=script system:: execute gsec_create >/dev/null
  gluster --mode=script volume geo-replication gv0 $HOST::sv0 create push-pem
  until grep -q gsyncd /root/.ssh/authorized_keys; do sleep 0.1; done
  gluster --mode=script volume set gv0 changelog.rollover-time 3
}

inside() {
  LOG=/var/log/glusterfs/gsyncd-ts.log
  echo "== two volumes, gv0 and sv0, and a session between them"
  volumes
  echo "== a tree on the primary"
  cp -a /usr/share/doc/[a-d]* /mnt/gv0/ 2>/dev/null || true
  find /mnt/gv0 | wc -l | sed 's/$/ names on gv0/'
  echo "== gsyncd-ts worker gv0 root@$HOST::sv0 --local-path /srv/gv0_1"
  node "$REPO/bin/gsyncd-ts.js" worker gv0 root@$HOST::sv0 --local-path /srv/gv0_1 --log-file "$LOG" &
  worker=$!
  converged
  echo "first sync: $entries entries equal on both volumes"
  echo "== live changes"
  mkdir /mnt/gv0/live
  for i in 1 2 3 4 5; do echo "round $i" >"/mnt/gv0/live/file $i"; done
  mv "/mnt/gv0/live/file 1" /mnt/gv0/live/renamed
  ln "/mnt/gv0/live/file 2" /mnt/gv0/live/linked
  rm "/mnt/gv0/live/file 3"
  chmod 600 "/mnt/gv0/live/file 4"
  ln -s renamed /mnt/gv0/live/symlink
  converged
  ls -l /mnt/sv0/live
  kill -TERM $worker
  wait $worker
  echo "demo: $entries entries on both volumes, the trees are equal, the worker ended with exit code 0"
}

if [ "${1:-}" = --inside ]; then inside; exit; fi
cd "$REPO"
. "$HERE/lab/packages.sh"
why=$(why_no_gluster)
[ -z "$why" ] || { echo "demo: cannot run here: $why" >&2; exit 1; }
if [ ! -e node_modules ]; then need_toolchain || true; npm ci --no-audit --no-fund; fi
npm run --silent build
exec "$HERE/lab/box.sh" bash "$HERE/demo.sh" --inside </dev/null
