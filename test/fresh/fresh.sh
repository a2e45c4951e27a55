#!/bin/bash
# Shows that both commands of the README pass on a fresh machine: a Debian root made by debootstrap that holds Node and
# npm and nothing else, with a fresh clone of this checkout's HEAD, as an ordinary user and as root. Prints how long
# npm start took, and the time from its start to the first replicated file. Needs root, and a mirror that apt knows
# here; npm's configuration of this machine is used inside. Nothing stays behind.
#   bash test/fresh/fresh.sh         both commands, as both users, without real volumes; FRESH=1 npm test runs it, too
#   FRESH_BASE=DIR      takes a root that debootstrap made earlier, which is copied and not changed
#   FRESH_GLUSTER=1     npm test as root installs GlusterFS inside and runs the tests on real volumes, too
#   FRESH_USERS=root    as root only (or: newcomer)
#   FRESH_SECONDS=120   how long npm start may take
#   FRESH_PACKAGE=1     instead: installs the package that npm pack makes here, without the checkout, over Debian's GlusterFS
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$HERE/../.." && pwd)
SUITE=bookworm
LIMIT=${FRESH_SECONDS:-120}
. "$REPO/test/gluster/lab/packages.sh"

fail() { echo "fresh: $*" >&2; exit 1; }

# Copies this machine's Node, npm and npm configuration to the same paths inside, and clones the checkout into both homes.
take_node() {
  local root=$1 node npm file home
  node=$(node -p process.execPath)
  npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
  mkdir -p "$root$(dirname "$node")" "$root$(dirname "$npm")"
  cp "$node" "$root$node"
  cp -a "$npm" "$root$npm"
  ln -sf "$npm/bin/npm-cli.js" "$root$(dirname "$node")/npm"
  ln -sf "$npm/bin/npx-cli.js" "$root$(dirname "$node")/npx"
  for file in "$(npm config get globalconfig)" "$(npm config get cafile)"; do
    [ -f "$file" ] && mkdir -p "$root$(dirname "$file")" && cp -L "$file" "$root$file"
  done
  file=$(npm config get userconfig)
  for home in root home/newcomer; do
    [ -f "$file" ] && cp -L "$file" "$root/$home/.npmrc"
    git clone --quiet --no-hardlinks "$REPO" "$root/$home/gsyncd-ts" || return 1
  done
  cp -L /etc/resolv.conf "$root/etc/resolv.conf"
  chroot "$root" chown -R newcomer: /home/newcomer
}

# enter ROOT USER COMMAND: runs COMMAND in new namespaces, so that no process outlives it, with a minimal environment and the proxies.
# The root is a mount, as it is on a machine: without that, no process inside gets a mount namespace.
enter() {
  local root=$1 user=$2 home=/home/$2
  [ "$user" = root ] && home=/root
  # shellcheck disable=SC2016
  unshare --mount --pid --fork --kill-child bash -c '
    mount --bind "$1" "$1" && cd "$1" && mount -t proc proc "$1/proc" && mount -t tmpfs -o mode=755 tmpfs "$1/dev" && mkdir "$1/dev/shm" || exit 1
    for device in null zero full random urandom tty; do
      touch "$1/dev/$device" && mount --bind "/dev/$device" "$1/dev/$device"
    done
    ln -s /proc/self/fd "$1/dev/fd"
    chmod 1777 "$1/dev/shm"
    exec chroot --userspec="$2" "$1" /usr/bin/env -i HOME="$3" USER="$2" PATH="$(dirname "$(node -p process.execPath)"):/usr/bin:/usr/sbin:/bin:/sbin" LANG=C.UTF-8 \
      ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
      ${SKIP_GLUSTER:+SKIP_GLUSTER=1} bash -c "cd $3/gsyncd-ts && $4"
  ' enter "$root" "$user" "$home" "$3" </dev/null
}

# as ROOT USER: runs npm start, which has to end within $LIMIT seconds, then npm test.
as() {
  local root=$1 user=$2 start=$EPOCHREALTIME line first='' code
  echo "== npm start, as $user"
  enter "$root" "$user" 'npm start 2>&1; echo "exit code $?"' >"$root/start.log" &
  while read -r line; do
    [ -z "$first" ] && case $line in *"first replicated file"*) first=$(since "$start") ;; esac
    printf '%7s  %s\n' "$(since "$start")" "$line"
  done < <(tail -s 0.1 -n +1 -f --pid=$! "$root/start.log")
  code=$(sed -n 's/^exit code //p' "$root/start.log")
  took=$(since "$start")
  [ "$code" = 0 ] || fail "npm start as $user: exit code ${code:-unknown}"
  grep -q '^demo: equal: ' "$root/start.log" || fail "npm start as $user: did not say that the trees are equal"
  echo "fresh: npm start as $user: first replicated file ${first} s after the command, done after $took s"
  [ "${took%.*}" -lt "$LIMIT" ] || fail "npm start as $user: took $took s, more than $LIMIT s"
  echo "== npm test, as $user"
  enter "$root" "$user" 'npm test 2>&1; echo "exit code $?"' | tee "$root/test.log"
  [ "$(tail -1 "$root/test.log")" = "exit code 0" ] || fail "npm test as $user: failed"
  echo "fresh: npm test as $user: $(tail -2 "$root/test.log" | head -1)"
}

# The package alone: no compiler, no checkout. It takes the place of Debian's gsyncd, answers in it, and gives it back.
package() {
  local root=$1 file stock=/usr/lib/x86_64-linux-gnu/glusterfs/gsyncd
  file=$(cd "$REPO" && npm pack --silent --pack-destination "$root/root") || fail "npm pack failed"
  rm -rf "$root/root/gsyncd-ts" "$root/home/newcomer/gsyncd-ts"
  mkdir "$root/root/gsyncd-ts"
  enter "$root" root "apt-get update -qq && apt-get install -qq -y --no-install-recommends glusterfs-server >/dev/null && ! command -v make g++ gcc cc && npm install -g --no-audit --no-fund /root/$file && cd / && gsyncd-ts -V && gsyncd-ts demo --seconds 2 && gsyncd-ts install && $stock --version && gsyncd-ts install --uninstall && ! grep -q gsyncd-ts $stock" ||
    fail "the package was not installed"
  echo "fresh: $file installs, takes the place of the stock gsyncd, and gives it back"
}

since() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }'; }

[ "$(id -u)" = 0 ] || fail "needs root"
root=$(mktemp -d /var/tmp/gsyncd-ts-fresh-XXXXXX)
trap 'rm -rf --one-file-system "$root"' EXIT
if [ -n "${FRESH_BASE:-}" ]; then
  cp -a "$FRESH_BASE/." "$root" || fail "$FRESH_BASE: cannot be copied"
else
  ensure debootstrap debootstrap "command -v debootstrap" || exit 1
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -1)
  debootstrap --variant=minbase --include=ca-certificates "$SUITE" "$root" "$mirror" >"$root.log" 2>&1 || {
    tail -5 "$root.log" >&2
    rm -f "$root.log"
    fail "debootstrap failed"
  }
  rm -f "$root.log"
fi
chmod 755 "$root"
chroot "$root" useradd --create-home --shell /bin/bash newcomer || fail "no user could be made"
take_node "$root" || fail "Node could not be put inside"
[ -n "${FRESH_GLUSTER:-}" ] || export SKIP_GLUSTER=1
if [ -n "${FRESH_PACKAGE:-}" ]; then package "$root"; exit; fi
for user in ${FRESH_USERS:-newcomer root}; do as "$root" "$user"; done
