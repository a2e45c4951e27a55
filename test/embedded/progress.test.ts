// The progress of the first sync of a plain directory.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Pair } from './pair.js';

test('the progress of a first sync has the expected number of entries', async () => {
  const pair = new Pair();
  try {
    for (let dir = 0; dir < 5; dir += 1) {
      mkdirSync(join(pair.a, String(dir)));
      for (let file = 0; file < 9; file += 1) writeFileSync(join(pair.a, String(dir), String(file)), '');
    }
    pair.start();
    await expect
      .poll(() => pair.progress?.walk, { timeout: 10_000 })
      .toMatchObject({ kind: 'first', state: 'done', seen: 50, synced: 50, expected: 50 });
  } finally {
    await pair.remove();
  }
}, 60_000);
