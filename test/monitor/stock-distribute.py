# Runs stock's distribute() for two volumes. argv is the syncdaemon directory, the XML of the primary's and of the
# secondary's volume, this node's id, and a working directory. Prints JSON: the worker specs, the secondary's nodes in
# the order in which stock took them, and the options that it wrote into the session's config.
import json
import os
import sys

stock, primary_xml, secondary_xml, node_id, work = sys.argv[1:]
sys.path.insert(0, stock)
# The fake gluster of each side prints its fixture; the fake ssh runs its command locally.
for name, text in (('bin/gluster', 'exec cat "$FIXTURE"'), ('ssh', 'while [ "$1" != user@backup ]; do shift; done; shift; FIXTURE=%s exec "$@"' % secondary_xml)):
    path = os.path.join(work, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as f:
        f.write('#!/bin/sh\n%s\n' % text)
    os.chmod(path, 0o755)
os.environ['FIXTURE'] = primary_xml
conf = os.path.join(work, 'gsyncd.conf')
with open(conf, 'w') as f:
    f.write('[vars]\ngluster-command-dir = %s/bin\nsecondary-gluster-command-dir = %s/bin\nssh-command = %s/ssh\n' % (work, work, work))

import gsyncdconfig as gconf
import monitor
import syncdutils
from rconf import rconf
from resource import GLUSTER, SSH, Popen

class Args:
    use_gconf_volinfo = False
    local_node_id = node_id

rconf.args = Args()
gconf.load('/etc/glusterfs/gsyncd.conf', conf, {}, {'primary_secondary_host': 'backup', 'secondaryvol': 'sv', 'primary': 'gv'})
Popen.init_errhandler()
specs, suuid, _, _, _, nodes = monitor.distribute(GLUSTER('localhost', 'gv'), SSH('user@backup', 'sv'))
print(json.dumps({
    'workers': [[b['dir'], b['host'], b['uuid'], subvol, hot, remote[0], remote[1]] for b, remote, subvol, hot in specs],
    'nodes': list(nodes),
    'secondaryId': suuid,
    'config': dict(line.strip().split(' = ', 1) for line in open(conf) if ' = ' in line),
}))
sys.stdout.flush()
os._exit(0)
