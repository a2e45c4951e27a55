import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { quoteRemoteWord } from '../../src/worker/gluster/remote.js';

const PATHS = ['/srv/brick-1', '/srv/brück', "/srv/it's&(1)", '/srv/$(id)`id`', '/srv/a b\tc', '/srv/*?~"\\'];

it.each(PATHS)('%s is one word of a shell, and means itself', (path) => {
  const { stdout } = spawnSync('sh', ['-c', `printf '[%s]' ${quoteRemoteWord(path, 'shell')}`], { encoding: 'utf8' });
  expect(stdout).toBe(`[${path}]`);
});

it.each(PATHS)('%s is one word of a forced command, without quotes', (path) => {
  expect(quoteRemoteWord(path, 'forced command').split(' ')).toEqual([path.replaceAll(/[ \t]/g, '_')]);
});
