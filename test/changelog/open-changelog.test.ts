// Reading a changelog that the brick is still writing. Each record is returned once, after it is complete. No record of the
// next changelog is returned before the closed one was consumed.

import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ChangelogAgent } from '../../src/changelog/agent.js';
import { OpenChangelog } from '../../src/changelog/open-changelog.js';
import type { ChangeRecord } from '../../src/changelog/record.js';
import { fc } from '../seeds.js';
import { lacksRoot } from '../skip.js';
import { T, gfidsIn, setUp, takeLive } from './agent-harness.js';
import { encodeChangelog, recordArb } from './encode.js';

describe.each(['ascii', 'binary'] as const)('OpenChangelog, %s', (encoding) => {
  test.each(['1.1', '1.2'] as const)(
    'returns each record once, version %s, wherever writes are cut',
    async (version) => {
      const format = { encoding, version };
      await fc.assert(
        fc.asyncProperty(
          fc.array(recordArb(format), { maxLength: 20 }),
          fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
          async (records, cuts) => {
            const dir = mkdtempSync(join(tmpdir(), 'open-'));
            const changelog = new OpenChangelog(dir);
            try {
              const bytes = encodeChangelog(records, format);
              writeFileSync(join(dir, 'CHANGELOG'), '');
              const found: ChangeRecord[] = [];
              for (let at = 0, i = 0; at < bytes.length; i++) {
                const next = at + cuts[i % cuts.length]!;
                appendFileSync(join(dir, 'CHANGELOG'), bytes.subarray(at, next));
                at = next;
                found.push(...(await changelog.read({ time: 0, isBehind: () => Promise.resolve(false) })));
              }
              expect(found).toEqual(records);
            } finally {
              await changelog.close();
              rmSync(dir, { recursive: true });
            }
          },
        ),
        { numRuns: 60 },
      );
    },
  );
});

describe.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))(
  'ChangelogAgent: open changelog',
  () => {
    const setup = setUp();
    const gfids = (records: readonly ChangeRecord[]): string[] => records.map(({ gfid }) => gfid);
    /** An agent that has consumed a first changelog, and so reads the open one. */
    const following = async (): Promise<ChangelogAgent> => {
      setup.brick.enable(T);
      const agent = setup.newAgent();
      await agent.register();
      setup.brick.rollover(T + 15);
      await takeLive(agent);
      return agent;
    };

    test('is followed from the first rollover after register() on', async () => {
      setup.brick.enable(T);
      const agent = setup.newAgent();
      await agent.register();
      const first = setup.brick.change();
      expect(await agent.open.take()).toEqual([]);
      setup.brick.rollover(T + 15);
      const second = setup.brick.change();
      expect(await agent.open.take()).toEqual([]);
      expect(await takeLive(agent)).toEqual([first]);
      expect(gfids(await agent.open.take())).toEqual([second]);
      expect(await agent.open.take()).toEqual([]);
    });

    test('taken() counts the records of a closed changelog that were taken, and the next one waits for it', async () => {
      setup.brick.enable(T);
      const agent = setup.newAgent();
      await agent.register();
      setup.brick.rollover(T + 15);
      await takeLive(agent);
      const taken = [setup.brick.change(), setup.brick.change()];
      expect(gfids(await agent.open.take())).toEqual(taken);
      const rest = setup.brick.change();
      setup.brick.rollover(T + 30);
      const next = setup.brick.change();
      expect(await agent.open.take()).toEqual([]);
      await agent.scan();
      const [path] = await agent.getchanges();
      expect(gfidsIn(path!)).toEqual([...taken, rest]);
      expect(agent.open.taken(path!)).toBe(2);
      await agent.done(path!);
      expect(agent.open.taken(path!)).toBe(0);
      expect(gfids(await agent.open.take())).toEqual([next]);
    });

    test('follows the next changelog when the open one is removed because it has no records', async () => {
      setup.brick.enable(T);
      const agent = setup.newAgent();
      await agent.register();
      for (const seconds of [15, 30, 45]) {
        setup.brick.rollover(T + seconds);
        await takeLive(agent);
        expect(await agent.open.take()).toEqual([]);
      }
      const change = setup.brick.change();
      expect(gfids(await agent.open.take())).toEqual([change]);
    });

    test('waits for the next rollover when a restarted brick closes the changelog without listing it', async () => {
      setup.brick.enable(T);
      const agent = setup.newAgent();
      await agent.register();
      setup.brick.rollover(T + 15);
      await takeLive(agent);
      const taken = setup.brick.change();
      expect(gfids(await agent.open.take())).toEqual([taken]);
      const unlisted = setup.brick.change();
      setup.brick.restart(T + 20);
      const afterRestart = setup.brick.change();
      expect(gfids(await agent.open.take())).toEqual([unlisted]);
      expect(await agent.open.take()).toEqual([]);
      setup.brick.rollover(T + 30);
      await agent.scan();
      const paths = await agent.getchanges();
      expect(paths.map((path) => [agent.open.taken(path), gfidsIn(path)])).toEqual([
        [2, [taken, unlisted]],
        [0, [afterRestart]],
      ]);
      for (const path of paths) await agent.done(path);
      const next = setup.brick.change();
      expect(gfids(await agent.open.take())).toEqual([next]);
    });

    test('waits for the next rollover when the brick was restarted while nothing was taken', async () => {
      const agent = await following();
      const unlisted = setup.brick.change();
      setup.brick.restart(T + 20);
      const afterRestart = setup.brick.change();
      expect(await agent.open.take()).toEqual([]);
      setup.brick.rollover(T + 30);
      expect(await takeLive(agent)).toEqual([unlisted, afterRestart]);
      const next = setup.brick.change();
      expect(gfids(await agent.open.take())).toEqual([next]);
    });

    test('follows the next changelog when a rollover in the same second replaced the open one', async () => {
      const agent = await following();
      const taken = setup.brick.change();
      expect(gfids(await agent.open.take())).toEqual([taken]);
      setup.brick.rollover(T + 30);
      setup.brick.change();
      setup.brick.rollover(T + 30);
      setup.brick.change();
      setup.brick.rollover(T + 45);
      await takeLive(agent);
      const next = setup.brick.change();
      expect(gfids(await agent.open.take())).toEqual([next]);
    });

    test('grown() resolves when a record is added', async () => {
      setup.brick.enable(T);
      const agent = setup.newAgent();
      await agent.register();
      setup.brick.rollover(T + 15);
      await takeLive(agent);
      const grown = agent.open.grown();
      const change = setup.brick.change();
      await grown;
      expect(gfids(await agent.open.take())).toEqual([change]);
    });
  },
);
