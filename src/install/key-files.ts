// Finds the ssh keys of sessions: authorized_keys of root, and of the users in the configuration of glusterd's mount
// broker. It finds them as GlusterFS's own script (peer_add_secret_pub) does.

import { join } from 'node:path';
import { readIfThere } from './files.js';
import { countUnrestrictedTarKeys } from './tar-keys.js';

export interface KeyFile {
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
}

const BROKER_USER = /^\s*option\s+mountbroker-geo-replication\.(\S+)\s/gm;

/** The key files of a machine whose root directory is `root`. Some of them may not exist. */
export async function findKeyFiles(root: string): Promise<KeyFile[]> {
  const readText = async (path: string): Promise<string> =>
    (await readIfThere(join(root, path)))?.toString('latin1') ?? '';
  const brokerConfig = await readText('/etc/glusterfs/glusterd.vol');
  const users = new Set(['root', ...[...brokerConfig.matchAll(BROKER_USER)].map(([, user = '']) => user)]);
  const pattern = keyFilePattern(await readText('/etc/ssh/sshd_config'));
  const accounts = (await readText('/etc/passwd')).split('\n').map((line) => line.split(':'));
  return accounts.flatMap(([name = '', , uid = '', gid = '', , home = '']) => {
    if (!users.has(name) || !home.startsWith('/')) return [];
    const path = pattern.replaceAll('%u', () => name).replaceAll('%h', () => home);
    return [{ path: join(root, path), uid: Number(uid), gid: Number(gid) }];
  });
}

/** The first file of sshd's last AuthorizedKeysFile; `%h` and `%u` stand for the user. */
function keyFilePattern(config: string): string {
  const file = [...config.matchAll(/^AuthorizedKeysFile\s+(\S+)/gm)].at(-1)?.[1] ?? '.ssh/authorized_keys';
  return file.startsWith('/') || file.startsWith('%h') ? file : `%h/${file}`;
}

/** The files of the user `uid` that hold tar keys whose holders can run any program. */
export async function findUnrestrictedTarKeys(uid: number): Promise<string[]> {
  const paths: string[] = [];
  for (const file of await findKeyFiles('/')) {
    if (file.uid === uid && countUnrestrictedTarKeys((await readIfThere(file.path))?.toString('latin1') ?? '') > 0)
      paths.push(file.path);
  }
  return paths;
}
