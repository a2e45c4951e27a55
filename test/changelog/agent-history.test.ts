import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { T, gfidsIn, setUp, takeHistory, takeLive } from './agent-harness.js';
import { lsetxattr } from '../../src/native/libc.js';
import { FakeBrick } from './brick.js';
import { lacksRoot } from '../skip.js';

const setup = setUp();

describe.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))('ChangelogAgent: history', () => {
  test('delivers changelogs closed before register() as history and later ones live', async () => {
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
    expect(await agent.history(T + 1)).toEqual({ status: 'ok', actualEnd: registered, setBack: null });
    expect(await takeHistory(agent)).toEqual([past]);
    expect(await takeLive(agent)).toEqual([open, live]);
    expect(await agent.scan()).toBe(0);
  });

  // Such a name comes from a rollover at the very start of a second, or from a clock that was set back.
  test('delivers a changelog closed before register() as history when its name has a later second', async () => {
    const soon = Math.floor(Date.now() / 1000) + 5;
    setup.brick.enable(soon - 20);
    const past = setup.brick.change();
    setup.brick.rollover(soon - 10);
    const late = setup.brick.change();
    setup.brick.rollover(soon);
    const agent = setup.newAgent();
    const registered = await agent.register();
    expect(registered).toBeGreaterThanOrEqual(soon);
    expect(await agent.history(soon - 15)).toEqual({ status: 'ok', actualEnd: soon, setBack: null });
    expect(await takeHistory(agent)).toEqual([past, late]);
    expect(await agent.scan()).toBe(0);
  });

  test('delivers changelogs that a brick restart left out of the HTIME index, in time order', async () => {
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
    await agent.history(T + 1);
    expect(await takeHistory(agent)).toEqual([a, b, c]);
    expect(await takeLive(agent)).toEqual([d, e, f]);
  });

  test('skips unlisted changelogs that closed before the start of the history', async () => {
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
    await agent.history(T + 22);
    expect(await takeHistory(agent)).toEqual([b, c]);
  });

  test('historyScan() returns months of history in chunks, and 0 only at the end', async () => {
    setup.brick.enable(T);
    const all: string[] = [];
    for (let i = 1; i <= 950; i += 1) {
      if (i % 10 === 0) all.push(setup.brick.change());
      setup.brick.rollover(T + i * 15);
    }
    const agent = setup.newAgent({ maxChangelogs: 7 });
    await agent.register();
    await agent.history(T);
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

  test('history() returns unavailable for a start before the first HTIME file', async () => {
    setup.brick.enable(T);
    setup.brick.change();
    setup.brick.rollover(T + 15);
    const agent = setup.newAgent();
    await agent.register();
    expect(await agent.history(T - 1)).toEqual({ status: 'unavailable', actualEnd: 0, setBack: null });
    expect(await agent.historyScan()).toBe(0);
  });

  test('history() returns partial across a gap and delivers the changelogs on both sides', async () => {
    setup.brick.enable(T);
    const a = setup.brick.change();
    setup.brick.disable(T + 15);
    setup.brick.enable(T + 100);
    const b = setup.brick.change();
    setup.brick.rollover(T + 115);
    const agent = setup.newAgent();
    await agent.register();
    expect(await agent.history(T + 1)).toEqual({ status: 'partial', actualEnd: T + 15, setBack: null });
    expect(await takeHistory(agent)).toEqual([a, b]);
    expect(await agent.history(T + 50)).toEqual({ status: 'partial', actualEnd: T + 50, setBack: null });
    expect(await takeHistory(agent)).toEqual([b]);
    expect((await agent.history(T + 100)).status).toBe('ok');
    expect(await takeHistory(agent)).toEqual([b]);
  });

  test('skips missing and damaged changelogs, reports them as losses and keeps a copy of the damaged one', async () => {
    setup.brick.enable(T);
    const gfids = [15, 30, 45, 60].map((t) => {
      const gfid = setup.brick.change();
      setup.brick.rollover(T + t);
      return gfid;
    });
    rmSync(setup.brick.changelogPath(T + 30));
    writeFileSync(setup.brick.changelogPath(T + 45), readFileSync(setup.brick.changelogPath(T + 45)).subarray(0, -9));
    const agent = setup.newAgent();
    await agent.register();
    for (const start of [T, T + 20]) {
      expect((await agent.history(start)).status).toBe('ok');
      expect(await takeHistory(agent)).toEqual(start === T ? [gfids[0], gfids[3]] : [gfids[3]]);
      expect(agent.historyLosses()).toEqual([
        {
          path: setup.brick.changelogPath(T + 30),
          reason: `read changelog: ${setup.brick.changelogPath(T + 30)}: listed, but missing`,
          from: Math.max(start - 1, T + 15),
          to: T + 30,
        },
        {
          path: setup.brick.changelogPath(T + 45),
          reason: expect.stringContaining('decode changelog') as string,
          from: T + 30,
          to: T + 45,
        },
      ]);
      expect(agent.historyLosses()).toEqual([]);
    }
    expect(readFileSync(join(setup.root, 'work/.history/.damaged', `CHANGELOG.${T + 45}`))).toEqual(
      readFileSync(setup.brick.changelogPath(T + 45)),
    );
  });

  test('delivers changelogs whose HTIME entries a system crash overwrote with zeros', async () => {
    setup.brick.enable(T);
    const gfids = [15, 30, 45].map((t) => {
      const gfid = setup.brick.change();
      setup.brick.rollover(T + t);
      return gfid;
    });
    const index = readFileSync(setup.brick.htimeFile);
    writeFileSync(setup.brick.htimeFile, index.fill(0, index.length / 3, (2 * index.length) / 3));
    const agent = setup.newAgent();
    await agent.register();
    await agent.history(T);
    expect(await takeHistory(agent)).toEqual(gfids);
    expect(agent.historyLosses()).toEqual([]);
  });

  test('history() returns unavailable when its first changelogs and all older ones are deleted', async () => {
    setup.brick.enable(T);
    for (const t of [15, 30, 45]) {
      setup.brick.change();
      setup.brick.rollover(T + t);
    }
    rmSync(setup.brick.changelogPath(T + 15));
    rmSync(setup.brick.changelogPath(T + 30));
    const agent = setup.newAgent();
    await agent.register();
    expect((await agent.history(T + 20)).status).toBe('unavailable');
    expect((await agent.history(T + 31)).status).toBe('ok');
  });

  test('reads dated and flat paths from one HTIME file', async () => {
    const flat = new FakeBrick(setup.root, 'flat');
    flat.enable(T);
    const a = flat.change();
    flat.rollover(T + 15);
    const b = flat.change();
    flat.restart(T + 20);
    const c = flat.change();
    const dated = setup.brick.changelogPath(T + 30);
    flat.rollover(T + 30);
    mkdirSync(join(dated, '..'), { recursive: true });
    renameSync(flat.changelogPath(T + 30), dated);
    const agent = setup.newAgent();
    await agent.register();
    await agent.history(T);
    expect(await takeHistory(agent)).toEqual([a, b, c]);
  });

  test('history() ends where the clock was set back; after passSetBack() the next history continues there', async () => {
    setup.brick.enable(T + 3000);
    const before = setup.brick.change();
    setup.brick.rollover(T + 3600);
    const after = setup.brick.change();
    setup.brick.rollover(T + 10);
    setup.brick.rollover(T + 25);
    const last = setup.brick.change();
    setup.brick.rollover(T + 40);
    const agent = setup.newAgent();
    await agent.register();
    const { setBack } = await agent.history(T + 3599);
    expect(setBack).toMatchObject({ from: T + 3600, to: T + 10 });
    expect(await takeHistory(agent)).toEqual([before]);
    // An stime after the set-back gives the same result: the worker was stopped for an hour, or the stime is from another
    // brick that closed its changelog a little later.
    expect((await agent.history(T + 3610)).setBack).toEqual(setBack);
    expect(await takeHistory(agent)).toEqual([]);
    await agent.passSetBack(setBack!);
    expect((await agent.history(T + 9)).setBack).toBeNull();
    expect(await takeHistory(agent)).toEqual([after, last]);

    const next = setup.newAgent();
    await next.register();
    expect(await next.history(T + 39)).toMatchObject({ status: 'ok', setBack: null });
    expect(await takeHistory(next)).toEqual([last]);
    // The agent searches the whole index for an stime from before the set-back.
    expect(await next.history(T + 8)).toMatchObject({ setBack: { to: T + 10 } });
    expect(await next.history(T - 1000)).toMatchObject({ status: 'unavailable' });
  });

  test('history() detects a clock set back by less than a rollover interval', async () => {
    setup.brick.enable(T);
    setup.brick.change();
    setup.brick.rollover(T + 15);
    const after = setup.brick.change();
    setup.brick.rollover(T + 14);
    const agent = setup.newAgent();
    await agent.register();
    const { setBack } = await agent.history(T + 14);
    await takeHistory(agent);
    await agent.passSetBack(setBack!);
    await agent.history(T + 13);
    expect(await takeHistory(agent)).toEqual([after]);
  });

  test('delivers the unlisted changelog of a brick restart after the clock was set back', async () => {
    setup.brick.enable(T + 3000);
    setup.brick.change();
    setup.brick.rollover(T + 3600);
    const open = setup.brick.change();
    setup.brick.restart(T + 5);
    const after = setup.brick.change();
    setup.brick.rollover(T + 20);
    const agent = setup.newAgent();
    await agent.register();
    const { setBack } = await agent.history(T + 3599);
    await takeHistory(agent);
    await agent.passSetBack(setBack!);
    await agent.history(T + 19);
    expect(await takeHistory(agent)).toEqual([open, after]);
  });

  test('treats an HTIME file created after the clock was set back as the newest', async () => {
    setup.brick.enable(T + 3000);
    setup.brick.change();
    setup.brick.disable(T + 3600);
    setup.brick.enable(T + 50);
    lsetxattr(setup.brick.htimeDir, 'trusted.glusterfs.current_htime', Buffer.from(`HTIME.${T + 50}\0`));
    const after = setup.brick.change();
    setup.brick.rollover(T + 65);
    const agent = setup.newAgent();
    await agent.register();
    const history = await agent.history(T + 3599);
    expect(history).toMatchObject({ status: 'partial', actualEnd: 0, setBack: { from: T + 3600, to: T + 65 } });
    await takeHistory(agent);
    await agent.passSetBack(history.setBack!);
    expect(await agent.history(T + 64)).toMatchObject({ status: 'ok', setBack: null });
    expect(await takeHistory(agent)).toEqual([after]);
    const live = setup.brick.change();
    setup.brick.rollover(T + 80);
    expect(await takeLive(agent)).toEqual([live]);
  });

  test('history() returns unavailable for a future stime that no changelog explains', async () => {
    setup.brick.enable(T);
    setup.brick.change();
    setup.brick.rollover(T + 15);
    const agent = setup.newAgent();
    const now = await agent.register();
    expect((await agent.history(now + 3600)).status).toBe('unavailable');
    expect((await agent.history(now + 5)).status).toBe('ok');
  });
});
