// A session to an ordinary user on the secondary's nodes, who may mount sv0 through glusterd's mount broker, set up with
// GlusterFS's tools as its documentation says.
import type { Node } from './node.js';
import { until } from './wait.js';

const GROUP = 'geogroup';
const BROKER_ROOT = '/srv/mountbroker-root';

/** Home of a user of setUpBroker(); root's without one. */
export function homeOf(user: string | undefined): string {
  return user === undefined ? '/root' : `/srv/${user}`;
}

/** Makes the user, lets root of the primary log in as it, and lets it mount. The nodes are of one pool. */
export async function setUpBroker(nodes: readonly Node[], user: string): Promise<void> {
  const home = homeOf(user);
  for (const node of nodes) {
    await node.sh(
      `echo '${user}:x:4321:4321::${home}:/bin/bash' >>/etc/passwd
echo '${user}:*:19000:0:99999:7:::' >>/etc/shadow
echo '${GROUP}:x:4321:' >>/etc/group
mkdir -p ${home}/.ssh
cp /root/.ssh/authorized_keys ${home}/.ssh/
echo 'PATH=$PATH:/usr/sbin' >/etc/profile.d/gluster.sh
chown -R ${user}:${GROUP} ${home}
chmod 700 ${home}/.ssh`,
      '/',
    );
  }
  await nodes[0]!.exec(['gluster-mountbroker', 'setup', BROKER_ROOT, GROUP]);
  await nodes[0]!.exec(['gluster-mountbroker', 'add', 'sv0', user]);
  for (const node of nodes) await node.restartGlusterd();
}

/** The admin's step after `create push-pem`, which sends the keys some time after it returned. */
export async function pushKeys(node: Node, user: string): Promise<void> {
  await until('keys sent to the user', async () =>
    (await node.read(`${homeOf(user)}/gv0_sv0_common_secret.pem.pub`).catch(() => '')).includes('tar'),
  );
  await node.sh(
    `"$(dirname "$(ls /usr/lib/*-linux-*/glusterfs/gsyncd /usr/libexec/glusterfs/gsyncd 2>/dev/null | head -1)")"/set_geo_rep_pem_keys.sh ${user} gv0 sv0`,
    '/',
  );
}
