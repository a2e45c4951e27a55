# Sourced by run.sh, demo.sh, bench.sh and box.sh: what the tests need from the system, and how to get it.
# need_toolchain, need_checkers and need_gluster return 0 when everything is there (installing it first when root on Debian),
# and otherwise say in one line what is missing and return 1. They change nothing when nothing is missing.

# install_packages NAME...: apt-get with the package lists refreshed once per process.
install_packages() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then return 1; fi
  if [ -z "${APT_REFRESHED:-}" ]; then
    apt-get update -qq >&2 || return 1
    APT_REFRESHED=1
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2 </dev/null
}

# ensure WHAT PACKAGES CHECK...: runs the CHECK commands, installs PACKAGES when one fails, checks again.
ensure() {
  local what=$1 packages=$2 check missing=
  shift 2
  for check in "$@"; do eval "$check" >/dev/null 2>&1 || missing=1; done
  [ -z "$missing" ] && return 0
  # shellcheck disable=SC2086
  install_packages $packages || true
  for check in "$@"; do
    if ! eval "$check" >/dev/null 2>&1; then
      echo "$what: missing on this machine: needs packages $packages" >&2
      return 1
    fi
  done
}

need_toolchain() {
  ensure "build tools" "g++ make python3" "command -v g++" "command -v make" "command -v python3"
}

# Programs that check the manual page, the completions and the log rotation.
need_checkers() {
  ensure "checkers" "mandoc zsh logrotate acl attr" "command -v mandoc" "command -v zsh" "command -v logrotate" \
    "command -v setfacl" "command -v setfattr"
}

# What the nightly tests need beside GlusterFS: clocks that can be set.
need_nightly() {
  ensure "nightly tests" "libfaketime" "ls /usr/lib/*/faketime/libfaketimeMT.so.1 | grep ."
}

need_gluster() {
  ensure "GlusterFS" "glusterfs-server rsync openssh-server openssh-client attr acl iproute2 util-linux procps python3 xfsprogs" \
    "command -v glusterd" "command -v gluster" "command -v rsync" "command -v ssh" "test -x /usr/sbin/sshd" \
    "command -v setfattr" "command -v setfacl" "command -v ip" "command -v nsenter" "command -v python3" "command -v mkfs.xfs" \
    "ls /usr/lib/*/glusterfs/python/syncdaemon/gsyncd.py /usr/libexec/glusterfs/python/syncdaemon/gsyncd.py 2>/dev/null | grep ."
}

# why_no_gluster: prints why real volumes cannot run here; prints nothing when they can.
why_no_gluster() {
  if [ "$(id -u)" != 0 ]; then echo "not root"; return; fi
  if [ ! -e /dev/fuse ] && ! mknod /dev/fuse c 10 229 2>/dev/null; then echo "no /dev/fuse"; return; fi
  if ! (exec 3<>/dev/fuse) 2>/dev/null; then echo "/dev/fuse cannot be opened"; return; fi
  if ! unshare --pid --fork --net --mount --mount-proc true 2>/dev/null; then echo "namespaces not permitted"; return; fi
  if ! need_gluster 2>/dev/null; then echo "GlusterFS is not installed and could not be"; fi
}
