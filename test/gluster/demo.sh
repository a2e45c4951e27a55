#!/bin/bash
# npm run demo:gluster [-- SECONDS]: what npm start shows, on two volumes of a real GlusterFS. Installs what is missing,
# builds, brings up the volumes with a geo-replication session in a box of their own (see lab/box.sh), and runs the demo
# (src/demo) with the worker on the primary's brick: a first sync, live changes for SECONDS (15), a kill in between, and a
# full comparison of both volumes through their mounts. Nothing stays behind.
set -eu
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$HERE/../.." && pwd)
HOST=10.77.0.1

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
  local log=/var/log/glusterfs/gsyncd-ts.log
  echo "two volumes, gv0 and sv0, and a session between them"
  volumes
  node "$HERE/demo.js" "$1" /var/lib/glusterd/geo-replication/gv0_${HOST}_sv0 /mnt/gv0 /mnt/sv0 \
    gv0 root@$HOST::sv0 --local-path /srv/gv0_1 --log-file $log || { tail -20 $log >&2; exit 1; }
}

if [ "${1:-}" = --inside ]; then inside "$2"; exit; fi
cd "$REPO"
. "$HERE/lab/packages.sh"
why=$(why_no_gluster)
[ -z "$why" ] || { echo "demo: cannot run here: $why" >&2; exit 1; }
if [ ! -e node_modules ]; then need_toolchain || true; npm ci --no-audit --no-fund; fi
npm run --silent build
exec "$HERE/lab/box.sh" bash "$HERE/demo.sh" --inside "${1:-15}" </dev/null
