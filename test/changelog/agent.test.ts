import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ChangelogAgent } from '../../src/changelog/agent.js';
import { parseText } from '../../src/changelog/text.js';
import { FakeBrick } from './brick.js';

const T = 1_700_000_000;
let root: string;
let brick: FakeBrick;
let agents: ChangelogAgent[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'agent-'));
  brick = new FakeBrick(root);
  agents = [];
});
afterEach(() => {
  for (const agent of agents) agent.close();
  vi.restoreAllMocks();
  rmSync(root, { recursive: true });
});

function newAgent(options: { changeIntervalMs?: number; maxJournals?: number; maxBytes?: number } = {}): ChangelogAgent {
  const agent = new ChangelogAgent({
    changelogDir: brick.dir, workingDir: join(root, 'work'), changeIntervalMs: 60_000, ...options,
  });
  agents.push(agent);
  return agent;
}

const gfidsIn = (path: string): string[] => parseText(readFileSync(path)).map(({ gfid }) => gfid);

async function takeLive(agent: ChangelogAgent): Promise<string[]> {
  const gfids: string[] = [];
  while ((await agent.scan()) > 0) {
    for (const path of await agent.getchanges()) {
      gfids.push(...gfidsIn(path));
      await agent.done(path);
    }
  }
  return gfids;
}

async function takeHistory(agent: ChangelogAgent): Promise<string[]> {
  const gfids: string[] = [];
  while ((await agent.historyScan()) > 0) {
    for (const path of await agent.historyGetchanges()) {
      gfids.push(...gfidsIn(path));
      await agent.historyDone(path);
    }
  }
  return gfids;
}

describe('ChangelogAgent', () => {
  test('delivers what closes before register() as history and what closes after it live', async () => {
    brick.enable(T);
    const past = brick.change();
    brick.rollover(T + 15);
    const open = brick.change();
    const agent = newAgent();
    const registered = await agent.register();
    expect(Math.abs(registered - Date.now() / 1000)).toBeLessThan(5);
    brick.rollover(T + 30);
    const live = brick.change();
    brick.rollover(T + 45);
    expect(await agent.history(T + 1, registered)).toEqual({ status: 'ok', actualEnd: registered });
    expect(await takeHistory(agent)).toEqual([past]);
    expect(await takeLive(agent)).toEqual([open, live]);
    expect(await agent.scan()).toBe(0);
  });

  test('lays its files out as libgfchangelog does', async () => {
    brick.enable(T);
    const agent = newAgent();
    await agent.register();
    brick.change();
    brick.rollover(T + 15);
    brick.rollover(T + 30);
    expect(await agent.scan()).toBe(1);
    const work = join(root, 'work');
    const [path] = await agent.getchanges();
    expect(path).toBe(join(work, '.processing', `CHANGELOG.${T + 15}`));
    expect(readFileSync(path!, 'latin1')).toBe('D 00000000-0000-0000-0000-000000000001\n');
    await agent.done(path!);
    expect(readdirSync(join(work, '.processed'))).toEqual([`CHANGELOG.${T + 15}`]);
    expect(readdirSync(work).sort()).toEqual(['.current', '.history', '.processed', '.processing']);
    expect(readdirSync(join(work, '.history')).sort()).toEqual(['.current', '.processed', '.processing']);
  });

  test('delivers journals that a restart of the brick left out of the index, in their order', async () => {
    brick.enable(T);
    const a = brick.change();
    brick.rollover(T + 15);
    const b = brick.change();
    brick.restart(T + 20);
    brick.restart(T + 25);
    const c = brick.change();
    brick.rollover(T + 30);
    const d = brick.change();
    brick.restart(T + 86_400);
    const agent = newAgent();
    await agent.register();
    const e = brick.change();
    brick.restart(T + 86_410);
    const f = brick.change();
    brick.rollover(T + 86_420);
    await agent.history(T + 1, T + 86_400);
    expect(await takeHistory(agent)).toEqual([a, b, c]);
    expect(await takeLive(agent)).toEqual([d, e, f]);
  });

  test('does not go back to unlisted journals before the start of the history', async () => {
    brick.enable(T);
    brick.rollover(T + 15);
    brick.change();
    brick.restart(T + 20);
    const b = brick.change();
    brick.restart(T + 25);
    const c = brick.change();
    brick.rollover(T + 30);
    const agent = newAgent();
    await agent.register();
    await agent.history(T + 22, T + 100);
    expect(await takeHistory(agent)).toEqual([b, c]);
  });

  test('makes months of history ready in chunks, and says 0 only when it is finished', async () => {
    brick.enable(T);
    const all: string[] = [];
    for (let i = 1; i <= 950; i += 1) {
      if (i % 10 === 0) all.push(brick.change());
      brick.rollover(T + i * 15);
    }
    const agent = newAgent({ maxJournals: 7 });
    await agent.register();
    await agent.history(T, T + 1_000_000);
    const sizes: number[] = [];
    const got: string[] = [];
    for (let n = await agent.historyScan(); n > 0; n = await agent.historyScan()) {
      sizes.push(n);
      for (const path of await agent.historyGetchanges()) {
        got.push(...gfidsIn(path));
        await agent.historyDone(path);
      }
    }
    expect(got).toEqual(all);
    expect(Math.max(...sizes)).toBe(7);
    expect(sizes.reduce((a, b) => a + b)).toBe(95);
  });

  test('keeps a scan within the bound on bytes', async () => {
    brick.enable(T);
    const agent = newAgent({ maxBytes: 60 });
    await agent.register();
    for (let i = 1; i <= 5; i += 1) {
      brick.change();
      brick.rollover(T + i);
    }
    expect([await agent.scan(), await agent.scan(), await agent.scan(), await agent.scan()]).toEqual([2, 2, 1, 0]);
  });

  test('ends the history with the journal in which the end time falls', async () => {
    brick.enable(T);
    const gfids = [15, 30, 45].map((t) => {
      const gfid = brick.change();
      brick.rollover(T + t);
      return gfid;
    });
    const agent = newAgent();
    await agent.register();
    expect(await agent.history(T + 16, T + 20)).toEqual({ status: 'ok', actualEnd: T + 30 });
    expect(await takeHistory(agent)).toEqual([gfids[1]]);
    expect((await agent.history(T + 30, T + 31)).actualEnd).toBe(T + 45);
    expect(await takeHistory(agent)).toEqual(gfids.slice(1));
  });

  test('has no history from before the first index', async () => {
    brick.enable(T);
    brick.change();
    brick.rollover(T + 15);
    const agent = newAgent();
    await agent.register();
    expect(await agent.history(T - 1, T + 20)).toEqual({ status: 'unavailable', actualEnd: 0 });
    expect(await agent.historyScan()).toBe(0);
  });

  test('calls history partial across a gap, and still delivers both sides of it', async () => {
    brick.enable(T);
    const a = brick.change();
    brick.disable(T + 15);
    brick.enable(T + 100);
    const b = brick.change();
    brick.rollover(T + 115);
    const agent = newAgent();
    await agent.register();
    expect(await agent.history(T + 1, T + 120)).toEqual({ status: 'partial', actualEnd: T + 15 });
    expect(await takeHistory(agent)).toEqual([a, b]);
    expect(await agent.history(T + 50, T + 120)).toEqual({ status: 'partial', actualEnd: T + 50 });
    expect(await takeHistory(agent)).toEqual([b]);
    expect((await agent.history(T + 100, T + 120)).status).toBe('ok');
    expect(await takeHistory(agent)).toEqual([b]);
  });

  test('fails live, after what came before, when journaling was switched off and on', async () => {
    brick.enable(T);
    const agent = newAgent();
    await agent.register();
    const a = brick.change();
    brick.disable(T + 15);
    expect(await takeLive(agent)).toEqual([a]);
    brick.enable(T + 100);
    await agent.news();
    for (let i = 0; i < 2; i += 1) {
      await expect(agent.scan()).rejects.toMatchObject({
        code: 'partial-history', message: expect.stringContaining(`journaling was off from ${T + 15} to ${T + 100}`) as unknown,
      });
    }
  });

  test('follows live into a new index file', async () => {
    brick.enable(T);
    const agent = newAgent();
    await agent.register();
    const a = brick.change();
    brick.disable(T + 15);
    brick.enable(T + 16);
    const b = brick.change();
    brick.rollover(T + 30);
    expect(await takeLive(agent)).toEqual([a, b]);
  });

  test('names a garbled journal at every scan, keeps it, and delivers what came before', async () => {
    brick.enable(T);
    const agent = newAgent();
    await agent.register();
    brick.change();
    brick.rollover(T + 15);
    brick.change();
    appendFileSync(join(brick.dir, 'CHANGELOG'), 'E1234');
    brick.rollover(T + 30);
    const path = brick.journalPath(T + 30);
    for (let i = 0; i < 2; i += 1) await expect(agent.scan()).rejects.toThrow(`decode journal: ${path}: byte`);
    expect((await agent.getchanges()).map((p) => basename(p))).toEqual([`CHANGELOG.${T + 15}`]);
    expect(existsSync(path)).toBe(true);
  });

  test('names a listed journal that is missing', async () => {
    brick.enable(T);
    for (const t of [15, 30, 45]) {
      brick.change();
      brick.rollover(T + t);
    }
    rmSync(brick.journalPath(T + 30));
    const agent = newAgent();
    await agent.register();
    expect((await agent.history(T, T + 60)).status).toBe('ok');
    await expect(agent.historyScan()).rejects.toThrow(`read journal: ${brick.journalPath(T + 30)}: listed, but missing`);
    await expect(agent.history(T + 20, T + 60)).rejects.toThrow('listed, but missing');
  });

  test('calls history unavailable when its first journals are gone with all older ones', async () => {
    brick.enable(T);
    for (const t of [15, 30, 45]) {
      brick.change();
      brick.rollover(T + t);
    }
    rmSync(brick.journalPath(T + 15));
    rmSync(brick.journalPath(T + 30));
    const agent = newAgent();
    await agent.register();
    expect((await agent.history(T + 20, T + 60)).status).toBe('unavailable');
    expect((await agent.history(T + 31, T + 60)).status).toBe('ok');
  });

  test('finds journals where the brick has them now, wherever the index says', async () => {
    brick.enable(T);
    const agent = newAgent();
    await agent.register();
    const a = brick.change();
    brick.rollover(T + 15);
    const text = readFileSync(brick.htimeFile, 'latin1');
    writeFileSync(brick.htimeFile, text.replace(root, '/an/older/path'));
    expect(await takeLive(agent)).toEqual([a]);
  });

  test('reads both layouts in one index', async () => {
    const flat = new FakeBrick(root, 'flat');
    flat.enable(T);
    const a = flat.change();
    flat.rollover(T + 15);
    const b = flat.change();
    flat.restart(T + 20);
    const c = flat.change();
    const dated = brick.journalPath(T + 30);
    flat.rollover(T + 30);
    mkdirSync(join(dated, '..'), { recursive: true });
    renameSync(flat.journalPath(T + 30), dated);
    const agent = newAgent();
    await agent.register();
    await agent.history(T, T + 40);
    expect(await takeHistory(agent)).toEqual([a, b, c]);
  });

  test('delivers two journals of one second one after the other, and one that is listed twice once', async () => {
    brick.enable(T);
    const agent = newAgent();
    await agent.register();
    const a = brick.change();
    brick.rollover(T + 15);
    expect(await agent.scan()).toBe(1);
    const b = brick.change();
    brick.rollover(T + 15);
    expect(await agent.scan()).toBe(0);
    expect(await takeLive(agent)).toEqual([]);
    const [first] = await agent.getchanges();
    expect(gfidsIn(first!)).toEqual([a]);
    await agent.done(first!);
    expect(await takeLive(agent)).toEqual([b]);
    brick.list(brick.journalPath(T + 15), T + 15);
    expect(await takeLive(agent)).toEqual([]);
  });

  test('waits for the end of an entry that is being written to the index', async () => {
    brick.enable(T);
    const agent = newAgent();
    await agent.register();
    brick.change();
    brick.rollover(T + 15);
    const whole = readFileSync(brick.htimeFile);
    writeFileSync(brick.htimeFile, whole.subarray(0, -4));
    expect(await agent.scan()).toBe(0);
    writeFileSync(brick.htimeFile, whole);
    expect(await agent.scan()).toBe(1);
  });

  test('drops what an earlier run left undone and keeps what was done', async () => {
    brick.enable(T);
    const work = join(root, 'work');
    for (const dir of ['.processing', '.current', '.processed', '.history/.processing', '.history/.processed']) {
      mkdirSync(join(work, dir), { recursive: true });
      writeFileSync(join(work, dir, `CHANGELOG.${T - 5}`), 'D 00000000-0000-0000-0000-000000000001\n');
    }
    writeFileSync(join(work, 'tracker'), '');
    const agent = newAgent();
    await agent.register();
    expect(await agent.getchanges()).toEqual([]);
    expect(await agent.historyGetchanges()).toEqual([]);
    expect(readdirSync(join(work, '.processed'))).toEqual([`CHANGELOG.${T - 5}`]);
    expect(readdirSync(join(work, '.history/.processed'))).toEqual([`CHANGELOG.${T - 5}`]);
  });

  test('refuses to finish a file that it did not make ready', async () => {
    brick.enable(T);
    const agent = newAgent();
    await agent.register();
    await expect(agent.done(join(root, 'elsewhere'))).rejects.toThrow('finish changelog: ');
    await expect(agent.done(join(root, 'work/.processing/CHANGELOG.5'))).rejects.toThrow('CHANGELOG.5: not there');
  });

  test('does not register on a brick without journals', async () => {
    await expect(newAgent().register()).rejects.toMatchObject({ code: 'changelog', message: expect.stringContaining('no journal index') as unknown });
    brick.enable(T);
    brick.disable(T + 5);
    await expect(newAgent().register()).rejects.toMatchObject({ code: 'changelog', message: expect.stringContaining('no open journal') as unknown });
  });

  test('registers during a rollover', async () => {
    brick.enable(T);
    renameSync(join(brick.dir, 'CHANGELOG'), join(brick.dir, 'aside'));
    const registered = newAgent().register();
    setTimeout(() => renameSync(join(brick.dir, 'aside'), join(brick.dir, 'CHANGELOG')), 50);
    await expect(registered).resolves.toBeGreaterThan(T);
  });

  test('sorts ready files by number', async () => {
    brick.enable(999_999_000);
    brick.rollover(999_999_900);
    const agent = newAgent();
    await agent.register();
    for (const t of [999_999_999, 1_000_000_000]) {
      brick.change();
      brick.rollover(t);
    }
    await agent.scan();
    expect((await agent.getchanges()).map((p) => basename(p))).toEqual(['CHANGELOG.999999999', 'CHANGELOG.1000000000']);
  });

  describe('news()', () => {
    test('comes well under 200 ms after a rollover', async () => {
      brick.enable(T);
      const agent = newAgent();
      await agent.register();
      const delays: number[] = [];
      for (let i = 1; i <= 5; i += 1) {
        const news = agent.news();
        await new Promise((resolve) => setTimeout(resolve, 20));
        brick.change();
        brick.rollover(T + i);
        const start = performance.now();
        await news;
        delays.push(performance.now() - start);
        expect(await agent.scan()).toBe(1);
      }
      expect(delays.sort((a, b) => a - b)[2]).toBeLessThan(200);
    });

    test('comes at once for what is there, and not again when it was scanned', async () => {
      brick.enable(T);
      const agent = newAgent({ changeIntervalMs: 20 });
      await agent.register();
      brick.change();
      brick.rollover(T + 15);
      await agent.news();
      await agent.scan();
      const next = agent.news();
      expect(await Promise.race([next.then(() => 'news'), new Promise((resolve) => setTimeout(() => resolve('quiet'), 100))])).toBe('quiet');
      appendFileSync(brick.htimeFile, '/torn/entr');
      expect(await Promise.race([next.then(() => 'news'), new Promise((resolve) => setTimeout(() => resolve('quiet'), 100))])).toBe('quiet');
    });

    test('comes without a working watch, after the interval', async () => {
      const fs = await import('node:fs');
      brick.enable(T);
      const agent = newAgent({ changeIntervalMs: 50 });
      await agent.register();
      const news = agent.news();
      // A directory that is replaced takes its watch with it.
      fs.renameSync(brick.htimeDir, `${brick.htimeDir}.old`);
      fs.cpSync(`${brick.htimeDir}.old`, brick.htimeDir, { recursive: true });
      brick.change();
      brick.rollover(T + 15);
      await news;
      expect(await agent.scan()).toBe(1);
    });

    test('ends when the agent is closed', async () => {
      brick.enable(T);
      const agent = newAgent();
      await agent.register();
      const news = agent.news();
      agent.close();
      await news;
    });
  });

  test('loses no change and delivers none twice, whatever happens between runs of a consumer', async () => {
    const step = fc.constantFrom('change', 'change', 'rollover', 'rollover', 'restart brick', 'consume live', 'consume and keep', 'new run', 'crash');
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 3 }), async (steps, maxJournals) => {
        rmSync(root, { recursive: true });
        mkdirSync(root);
        brick = new FakeBrick(root);
        brick.enable(T);
        let now = T;
        const closed: string[] = [];
        let open: string[] = [];
        // What the marks vouch for: a consumer's stime is one second before its last journal.
        const consumed: string[] = [];
        let stime = T;
        let agent = newAgent({ maxJournals });
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
          agent = newAgent({ maxJournals });
          await agent.register();
          expect((await agent.history(stime, now + 1_000_000)).status).toBe('ok');
          while ((await agent.historyScan()) > 0) await consume(await agent.historyGetchanges(), (path) => agent.historyDone(path));
        };
        for (const action of steps) {
          now += 7;
          if (action === 'change') open.push(brick.change());
          if (action === 'rollover' || action === 'restart brick') {
            if (action === 'rollover') brick.rollover(now);
            else brick.restart(now);
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
        brick.change();
        brick.rollover(now + 7);
        await live();
        expect(consumed.slice(0, closed.length)).toEqual(closed);
        expect(new Set(consumed).size).toBe(consumed.length);
        agent.close();
      }),
      { numRuns: 60 },
    );
  });
});
