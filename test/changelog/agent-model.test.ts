import { describe, expect, test } from 'vitest';
import { isGsyncdError } from '../../src/errors.js';
import { T, gfidsIn, setUp } from './agent-harness.js';
import { lacksRoot } from '../skip.js';
import { fc } from '../seeds.js';

const setup = setUp();

describe.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))('ChangelogAgent: model', () => {
  test('delivers every change exactly once across random rollovers, brick restarts, crashes and clock changes', async () => {
    const step = fc.constantFrom(
      'change',
      'change',
      'rollover',
      'rollover',
      'restart brick',
      'consume live',
      'follow',
      'consume and keep',
      'new run',
      'crash',
      'set back',
      'set forward',
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.integer({ min: 1, max: 3 }),
        async (steps, maxChangelogs) => {
          setup.reset();
          setup.brick.enable(T);
          let now = T;
          let latest = T;
          const closed: string[] = [];
          let open: string[] = [];
          // Changes that the stime covers. A consumer's stime is one second before its last changelog.
          const consumed: string[] = [];
          // Changes that were taken from the open changelog, and whose closed changelog has not been consumed.
          let followed: string[] = [];
          let stime = T;
          let setBacks = 0;
          let mayBeSetBack = true;
          let agent = setup.newAgent({ maxChangelogs });
          await agent.register();
          const consume = async (paths: readonly string[], done: (path: string) => Promise<void>): Promise<void> => {
            for (const path of paths) {
              const time = Number(path.split('.').at(-1));
              if (time < stime && setBacks === 0) throw new Error(`${path} after mark ${stime}`);
              const gfids = gfidsIn(path);
              expect(followed.splice(0, agent.open.taken(path))).toEqual(gfids.slice(0, agent.open.taken(path)));
              consumed.push(...gfids);
              stime = time + 1;
              await done(path);
            }
          };
          const readHistory = async (): Promise<void> => {
            await agent.register();
            for (;;) {
              const { status, setBack } = await agent.history(stime);
              expect(status).toBe('ok');
              while ((await agent.historyScan()) > 0)
                await consume(await agent.historyGetchanges(), (path) => agent.historyDone(path));
              if (setBack === null) break;
              stime = setBack.to - 1;
              await agent.passSetBack(setBack);
            }
          };
          const scan = async (): Promise<number> => {
            try {
              return await agent.scan();
            } catch (error) {
              if (!isGsyncdError(error, 'partial-history')) throw error;
              await readHistory();
              return 1;
            }
          };
          const live = async (): Promise<void> => {
            while ((await scan()) > 0) await consume(await agent.getchanges(), (path) => agent.done(path));
          };
          const newRun = async (): Promise<void> => {
            agent.close();
            agent = setup.newAgent({ maxChangelogs });
            followed = [];
            await readHistory();
          };
          for (const action of steps) {
            now += 7;
            latest = Math.max(latest, now);
            if (action === 'change') open.push(setup.brick.change());
            if (action === 'rollover' || action === 'restart brick') {
              if (action === 'rollover') setup.brick.rollover(now);
              else setup.brick.restart(now);
              closed.push(...open);
              open = [];
            }
            if (action === 'consume live') await live();
            if (action === 'follow') {
              await live();
              followed.push(...(await agent.open.take()).map(({ gfid }) => gfid));
              const seen = [...consumed, ...followed];
              if (setBacks === 0) expect(seen).toEqual([...closed, ...open].slice(0, seen.length));
            }
            if (action === 'consume and keep') {
              await scan();
              const [path] = await agent.getchanges();
              if (path !== undefined) await consume([path], (p) => agent.done(p));
            }
            if (action === 'new run') await newRun();
            if (action === 'crash') {
              await scan();
              await newRun();
            }
            // Times never repeat, since 1000 is not a multiple of 7. The index shows where the clock was set back, unless the
            // clock changes a second time before the next changelog closes.
            if (action === 'rollover') mayBeSetBack = true;
            if (action === 'set back' && mayBeSetBack) {
              now -= 1000;
              setBacks += 1;
              mayBeSetBack = false;
            }
            if (action === 'set forward' && mayBeSetBack) now += 1000;
          }
          open.push(setup.brick.change());
          setup.brick.rollover(now + 7);
          await live();
          // The agent reads an unlisted changelog with a future time once the clock reaches that time.
          setup.brick.rollover(Math.max(latest, now) + 14);
          await live();
          if (setBacks === 0) {
            expect(consumed.slice(0, closed.length)).toEqual(closed);
            expect(new Set(consumed).size).toBe(consumed.length);
          }
          expect(new Set(consumed)).toEqual(new Set([...closed, ...open]));
          agent.close();
        },
      ),
      { numRuns: 100 },
    );
  });
});
