// Files of other owners, replicated by an ordinary user: they arrive as the user's, which is said once and is no failure.
// Only root can make such files.

import { chmodSync, chownSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { canBeUser, USER } from '../ordinary-user.js';
import { Pair } from './pair.js';

test.skipIf(!canBeUser())("an ordinary user's copies of others' files are the user's, which is said once", async () => {
  const pair = new Pair();
  try {
    for (const dir of [pair.dir, pair.a, pair.b]) chownSync(dir, USER, USER);
    for (const name of ['one', 'two', 'three']) {
      writeFileSync(join(pair.a, name), name);
      // Linked under its gfid by whom it lets write.
      chmodSync(join(pair.a, name), 0o666);
      chownSync(join(pair.a, name), 4321, 4321);
    }
    pair.start(undefined, USER);
    const { differences } = await pair.converged(8_000);
    expect(differences.map((line) => line.replace(/^"\/\w+": /, ''))).toEqual(Array.from({ length: 3 }, () => `owner: 4321:4321 here, ${USER}:${USER} there`));
    expect(readFileSync(join(pair.b, 'three'), 'utf8')).toBe('three');
    chmodSync(join(pair.a, 'one'), 0o606);
    writeFileSync(join(pair.a, 'two'), 'twice');
    // Longer than a keepalive's interval.
    await pair.converged(6_000);
    expect(readFileSync(join(pair.b, 'two'), 'utf8')).toBe('twice');
    expect(pair.log.split('only root can give them away').length - 1).toBe(1);
    expect(pair.log).not.toMatch(/ E \[/);
  } finally {
    await pair.remove();
  }
}, 60_000);
