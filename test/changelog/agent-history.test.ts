import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { T, gfidsIn, setUp, takeHistory, takeLive } from './agent-harness.js';
import { FakeBrick } from './brick.js';
import { lacksRoot } from '../skip.js';

const setup = setUp();

describe.skipIf(lacksRoot('journals of bricks, which have trusted.* xattrs'))('ChangelogAgent: history', () => {
  test('delivers what closes before register() as history and what closes after it live', async () => {
    setup.brick.enable(T);
    const past = setup.brick.change();
    setup.brick.rollover(T + 15);
    const open = setup.brick.change();
    const agent = setup.newAgent();
    const registered = await agent.register();
    expect(Math.abs(registered - Date.now() / 1000)).toBeLessThan(5);
    setup.brick.rollover(T + 30);
    const live = setup.brick.change();
    setup.brick.rollover(T + 45);
    expect(await agent.history(T + 1, registered)).toEqual({ status: 'ok', actualEnd: registered });
    expect(await takeHistory(agent)).toEqual([past]);
    expect(await takeLive(agent)).toEqual([open, live]);
    expect(await agent.scan()).toBe(0);
  });

  // A rollover right at the start of a second, or a clock that was set back.
  test('a journal that closed before register() and is named by a later second is history', async () => {
    const soon = Math.floor(Date.now() / 1000) + 5;
    setup.brick.enable(soon - 20);
    const past = setup.brick.change();
    setup.brick.rollover(soon - 10);
    const late = setup.brick.change();
    setup.brick.rollover(soon);
    const agent = setup.newAgent();
    const registered = await agent.register();
    expect(registered).toBeGreaterThanOrEqual(soon);
    expect(await agent.history(soon - 15, registered)).toEqual({ status: 'ok', actualEnd: soon });
    expect(await takeHistory(agent)).toEqual([past, late]);
    expect(await agent.scan()).toBe(0);
  });

  test('delivers journals that a restart of the brick left out of the index, in their order', async () => {
    setup.brick.enable(T);
    const a = setup.brick.change();
    setup.brick.rollover(T + 15);
    const b = setup.brick.change();
    setup.brick.restart(T + 20);
    setup.brick.restart(T + 25);
    const c = setup.brick.change();
    setup.brick.rollover(T + 30);
    const d = setup.brick.change();
    setup.brick.restart(T + 86_400);
    const agent = setup.newAgent();
    await agent.register();
    const e = setup.brick.change();
    setup.brick.restart(T + 86_410);
    const f = setup.brick.change();
    setup.brick.rollover(T + 86_420);
    await agent.history(T + 1, T + 86_400);
    expect(await takeHistory(agent)).toEqual([a, b, c]);
    expect(await takeLive(agent)).toEqual([d, e, f]);
  });

  test('does not go back to unlisted journals before the start of the history', async () => {
    setup.brick.enable(T);
    setup.brick.rollover(T + 15);
    setup.brick.change();
    setup.brick.restart(T + 20);
    const b = setup.brick.change();
    setup.brick.restart(T + 25);
    const c = setup.brick.change();
    setup.brick.rollover(T + 30);
    const agent = setup.newAgent();
    await agent.register();
    await agent.history(T + 22, T + 100);
    expect(await takeHistory(agent)).toEqual([b, c]);
  });

  test('makes months of history ready in chunks, and says 0 only when it is finished', async () => {
    setup.brick.enable(T);
    const all: string[] = [];
    for (let i = 1; i <= 950; i += 1) {
      if (i % 10 === 0) all.push(setup.brick.change());
      setup.brick.rollover(T + i * 15);
    }
    const agent = setup.newAgent({ maxJournals: 7 });
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

  test('ends the history with the journal in which the end time falls', async () => {
    setup.brick.enable(T);
    const gfids = [15, 30, 45].map((t) => {
      const gfid = setup.brick.change();
      setup.brick.rollover(T + t);
      return gfid;
    });
    const agent = setup.newAgent();
    await agent.register();
    expect(await agent.history(T + 16, T + 20)).toEqual({ status: 'ok', actualEnd: T + 30 });
    expect(await takeHistory(agent)).toEqual([gfids[1]]);
    expect((await agent.history(T + 30, T + 31)).actualEnd).toBe(T + 45);
    expect(await takeHistory(agent)).toEqual(gfids.slice(1));
  });

  test('has no history from before the first index', async () => {
    setup.brick.enable(T);
    setup.brick.change();
    setup.brick.rollover(T + 15);
    const agent = setup.newAgent();
    await agent.register();
    expect(await agent.history(T - 1, T + 20)).toEqual({ status: 'unavailable', actualEnd: 0 });
    expect(await agent.historyScan()).toBe(0);
  });

  test('calls history partial across a gap, and still delivers both sides of it', async () => {
    setup.brick.enable(T);
    const a = setup.brick.change();
    setup.brick.disable(T + 15);
    setup.brick.enable(T + 100);
    const b = setup.brick.change();
    setup.brick.rollover(T + 115);
    const agent = setup.newAgent();
    await agent.register();
    expect(await agent.history(T + 1, T + 120)).toEqual({ status: 'partial', actualEnd: T + 15 });
    expect(await takeHistory(agent)).toEqual([a, b]);
    expect(await agent.history(T + 50, T + 120)).toEqual({ status: 'partial', actualEnd: T + 50 });
    expect(await takeHistory(agent)).toEqual([b]);
    expect((await agent.history(T + 100, T + 120)).status).toBe('ok');
    expect(await takeHistory(agent)).toEqual([b]);
  });

  test('names a listed journal that is missing', async () => {
    setup.brick.enable(T);
    for (const t of [15, 30, 45]) {
      setup.brick.change();
      setup.brick.rollover(T + t);
    }
    rmSync(setup.brick.journalPath(T + 30));
    const agent = setup.newAgent();
    await agent.register();
    expect((await agent.history(T, T + 60)).status).toBe('ok');
    await expect(agent.historyScan()).rejects.toThrow(`read journal: ${setup.brick.journalPath(T + 30)}: listed, but missing`);
    await expect(agent.history(T + 20, T + 60)).rejects.toThrow('listed, but missing');
  });

  test('calls history unavailable when its first journals are gone with all older ones', async () => {
    setup.brick.enable(T);
    for (const t of [15, 30, 45]) {
      setup.brick.change();
      setup.brick.rollover(T + t);
    }
    rmSync(setup.brick.journalPath(T + 15));
    rmSync(setup.brick.journalPath(T + 30));
    const agent = setup.newAgent();
    await agent.register();
    expect((await agent.history(T + 20, T + 60)).status).toBe('unavailable');
    expect((await agent.history(T + 31, T + 60)).status).toBe('ok');
  });

  test('reads both layouts in one index', async () => {
    const flat = new FakeBrick(setup.root, 'flat');
    flat.enable(T);
    const a = flat.change();
    flat.rollover(T + 15);
    const b = flat.change();
    flat.restart(T + 20);
    const c = flat.change();
    const dated = setup.brick.journalPath(T + 30);
    flat.rollover(T + 30);
    mkdirSync(join(dated, '..'), { recursive: true });
    renameSync(flat.journalPath(T + 30), dated);
    const agent = setup.newAgent();
    await agent.register();
    await agent.history(T, T + 40);
    expect(await takeHistory(agent)).toEqual([a, b, c]);
  });
});
