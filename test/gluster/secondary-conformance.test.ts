// The same calls to the stock secondary and to this project's, on two fresh volumes, by the stock daemon's own client:
// the answers have to be the same, and so has what is in the volumes afterwards.
import { expect, test } from 'vitest';
import { HOST } from './lab/lab.js';
import { REPO } from './lab/machine.js';
import { useLab } from './lab/use-lab.js';

const lab = useLab({ session: 'none' });

test('both secondaries give the same answers and leave the same tree', async () => {
  const found = await lab().exec(['bash', '-c', 'ls -d /usr/lib*/*/glusterfs/python/syncdaemon /usr/libexec/glusterfs/python/syncdaemon 2>/dev/null | head -1']);
  const daemon = found.stdout.trim();
  const args = [
    '--primary-node', 'n1', '--primary-node-id', 'x', '--primary-brick', '/b', '--local-node', 'h', '--local-node-id', 'y',
    '--secondary-timeout', '120', '--secondary-log-level', 'INFO', '--secondary-gluster-log-level', 'INFO',
    '--secondary-gluster-command-dir', '/usr/sbin', '--primary-dist-count', '1', '--secondary-access-mount',
  ];
  const ask = async (volume: string, secondary: readonly string[]): Promise<unknown> => {
    const results = `/srv/${volume}.json`;
    const argv = ['python3', `${REPO}/test/fixtures/secondary/calls.py`, daemon, results, ...secondary, 'secondary', 'px', `root@${HOST}::${volume}`, ...args];
    await lab().exec(argv, { onFailure: 'return' });
    return JSON.parse(await lab().read(results));
  };
  const tree = (at: string): Promise<string> => lab().sh(String.raw`find . -path ./.trashcan -prune -o -printf '%P %y %m %U %G %T@ %l\n' | sed '1s/.*//' | grep -v '^made by path' | sort`, at);
  const stock = await ask('gv0', ['python3', `${daemon}/gsyncd.py`]);
  const own = await ask('sv0', [process.execPath, `${REPO}/bin/gsyncd-ts.js`]);
  expect(own).toEqual(stock);
  expect((await tree(lab().secondary)).replaceAll(/ \d{10}\.\d+ /g, ' now ')).toBe((await tree(lab().primary)).replaceAll(/ \d{10}\.\d+ /g, ' now '));
  await lab().assertNoMountsLeft();
});
