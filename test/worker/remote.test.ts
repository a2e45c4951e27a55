import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { quoteRemoteWord } from '../../src/worker/gluster/remote.js';

const PATHS = ['/srv/brick-1', '/srv/brück', "/srv/it's&(1)", '/srv/$(id)`id`', '/srv/a b\tc', '/srv/*?~"\\'];

it.each(PATHS)('quoteRemoteWord() quotes %s as one shell word', (path) => {
  const { stdout } = spawnSync('sh', ['-c', `printf '[%s]' ${quoteRemoteWord(path, 'shell')}`], { encoding: 'utf8' });
  expect(stdout).toBe(`[${path}]`);
});

it.each(PATHS)('quoteRemoteWord() turns %s into one unquoted word of a forced command', (path) => {
  expect(quoteRemoteWord(path, 'forced command').split(' ')).toEqual([path.replaceAll(/[ \t]/g, '_')]);
});
