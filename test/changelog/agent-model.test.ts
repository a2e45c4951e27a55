import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { T, gfidsIn, setUp } from './agent-harness.js';
import { lacksRoot } from '../skip.js';

const setup = setUp();

describe.skipIf(lacksRoot('journals of bricks, which have trusted.* xattrs'))('ChangelogAgent: model', () => {
  test('loses no change and delivers none twice, whatever happens between runs of a consumer', async () => {
    const step = fc.constantFrom('change', 'change', 'rollover', 'rollover', 'restart brick', 'consume live', 'consume and keep', 'new run', 'crash');
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 3 }), async (steps, maxJournals) => {
        setup.reset();
        setup.brick.enable(T);
        let now = T;
        const closed: string[] = [];
        let open: string[] = [];
        // What the marks vouch for: a consumer's stime is one second before its last journal.
        const consumed: string[] = [];
        let stime = T;
        let agent = setup.newAgent({ maxJournals });
        await agent.register();
        const consume = async (paths: readonly string[], done: (path: string) => Promise<void>): Promise<void> => {
          for (const path of paths) {
            const time = Number(path.split('.').at(-1));
            if (time < stime) throw new Error(`${path} after mark ${stime}`);
            consumed.push(...gfidsIn(path));
            stime = time + 1;
            await done(path);
          }
        };
        const live = async (): Promise<void> => {
          while ((await agent.scan()) > 0) await consume(await agent.getchanges(), (path) => agent.done(path));
        };
        const newRun = async (): Promise<void> => {
          agent.close();
          agent = setup.newAgent({ maxJournals });
          await agent.register();
          expect((await agent.history(stime, now + 1_000_000)).status).toBe('ok');
          while ((await agent.historyScan()) > 0) await consume(await agent.historyGetchanges(), (path) => agent.historyDone(path));
        };
        for (const action of steps) {
          now += 7;
          if (action === 'change') open.push(setup.brick.change());
          if (action === 'rollover' || action === 'restart brick') {
            if (action === 'rollover') setup.brick.rollover(now);
            else setup.brick.restart(now);
            closed.push(...open);
            open = [];
          }
          if (action === 'consume live') await live();
          if (action === 'consume and keep') {
            await agent.scan();
            const [path] = await agent.getchanges();
            if (path !== undefined) await consume([path], (p) => agent.done(p));
          }
          if (action === 'new run') await newRun();
          if (action === 'crash') {
            await agent.scan();
            await newRun();
          }
        }
        setup.brick.change();
        setup.brick.rollover(now + 7);
        await live();
        expect(consumed.slice(0, closed.length)).toEqual(closed);
        expect(new Set(consumed).size).toBe(consumed.length);
        agent.close();
      }),
      { numRuns: 60 },
    );
  });
});
