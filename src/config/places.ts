// Paths that GlusterFS's packages use and that every part of geo-replication needs first.

/** The installed options with their defaults. */
export const DEFAULTS_FILE = '/etc/glusterfs/gsyncd.conf';

/** State of glusterd, including its sessions. */
export const GLUSTERD_WORKDIR = '/var/lib/glusterd';
