// Where the packages of GlusterFS put what every part of geo-replication finds first.

/** The table of options with their defaults. */
export const DEFAULTS_FILE = '/etc/glusterfs/gsyncd.conf';

/** State of glusterd, sessions among it. */
export const GLUSTERD_WORKDIR = '/var/lib/glusterd';
