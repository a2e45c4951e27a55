# Sourced by box.sh and node.sh: makes the mount and network namespaces of the calling shell a machine of its own, with
# fresh GlusterFS state, an sshd that accepts root's key, and private /run, /tmp, /mnt, /srv and ~root/.ssh.
# Its state lives in a directory that outlasts it, so a machine that is started again on the same directory finds its
# disks, but an empty /run.

# take_disks STATE REPO: covers the machine's state with the directories of STATE, and what tests may change (the directories
# that hold gsyncd, glusterd's configuration, users) with copies. The checkout REPO stays visible, and is at /mnt/gsyncd-ts too, where every
# user can reach it.
take_disks() {
  local state=$1 repo=$2 repo_view="$1/repo" name target libexec
  mkdir -p "$repo_view"
  mount --bind "$repo" "$repo_view"
  for pair in glusterd:/var/lib/glusterd misc:/var/lib/misc log:/var/log/glusterfs ssh:/root/.ssh mnt:/mnt \
              bricks:/srv tmp:/tmp; do
    name=${pair%%:*} target=${pair#*:}
    mkdir -p "$state/$name" "$target"
    mount --bind "$state/$name" "$target"
    # A checkout under one of these places must stay visible where it was.
    case "$repo/" in
      "$target"/*) mkdir -p "$repo"; mount --bind "$repo_view" "$repo" ;;
    esac
  done
  # What root's shells run at a login is the machine's affair: it may take locks that a box that is ended leaves behind.
  for name in .bashrc .profile .bash_profile .bash_login; do
    if [ -e "/root/$name" ]; then mount --bind /dev/null "/root/$name"; fi
  done
  mkdir -p "$state/etc"
  for name in passwd shadow group profile.d glusterfs; do
    [ -e "/etc/$name" ] || continue
    [ -e "$state/etc/$name" ] || cp -a "/etc/$name" "$state/etc/$name"
    mount --bind "$state/etc/$name" "/etc/$name"
  done
  mkdir -p /mnt/gsyncd-ts
  mount --bind "$repo_view" /mnt/gsyncd-ts
  for libexec in /usr/lib/*-linux-*/glusterfs /usr/libexec/glusterfs; do
    [ -e "$libexec/gsyncd" ] || continue
    [ -d "$state/libexec" ] || cp -a "$libexec" "$state/libexec"
    mount --bind "$state/libexec" "$libexec"
  done
  rm -rf "$state/run"
  mkdir -p "$state/run/gluster" "$state/run/sshd" "$state/run/lock"
  mount --bind "$state/run" /run
  chmod 1777 /tmp
  chmod 700 /root/.ssh
  [ ! -d "$state/seed" ] || [ -e /var/lib/glusterd/hooks ] || cp -a "$state/seed/." /var/lib/glusterd/
}

# make_root_key: a key for root, which every machine with this ~root/.ssh accepts and uses.
make_root_key() {
  ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519 </dev/null
  cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
  printf '%s\n' 'StrictHostKeyChecking no' 'UserKnownHostsFile /dev/null' 'LogLevel ERROR' >/root/.ssh/config
  chmod 600 /root/.ssh/*
}

start_sshd() {
  ssh-keygen -q -t ed25519 -N '' -f /run/sshd/host_key </dev/null
  /usr/sbin/sshd -f /dev/null -h /run/sshd/host_key -o UsePAM=yes -o PermitRootLogin=yes -o MaxStartups=200 \
    -o MaxSessions=200 -o 'Subsystem=sftp internal-sftp' -o PidFile=/run/sshd.pid -E /var/log/glusterfs/sshd.log
}
