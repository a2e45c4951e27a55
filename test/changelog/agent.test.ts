import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { T, gfidsIn, setUp, takeLive } from './agent-harness.js';
import { lacksRoot } from '../skip.js';

const setup = setUp();

describe.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))('ChangelogAgent: live', () => {
  test('lays its files out as libgfchangelog does', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent();
    await agent.register();
    setup.brick.change();
    setup.brick.rollover(T + 15);
    setup.brick.rollover(T + 30);
    expect(await agent.scan()).toBe(1);
    const work = join(setup.root, 'work');
    const [path] = await agent.getchanges();
    expect(path).toBe(join(work, '.processing', `CHANGELOG.${T + 15}`));
    expect(readFileSync(path!, 'latin1')).toBe('D 00000000-0000-0000-0000-000000000001\n');
    await agent.done(path!);
    expect(readdirSync(join(work, '.processed'))).toEqual([`CHANGELOG.${T + 15}`]);
    expect(readdirSync(work).sort()).toEqual(['.current', '.history', '.processed', '.processing']);
    expect(readdirSync(join(work, '.history')).sort()).toEqual(['.current', '.processed', '.processing']);
  });

  test('keeps a scan within the bound on bytes', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent({ maxBytes: 60 });
    await agent.register();
    for (let i = 1; i <= 5; i += 1) {
      setup.brick.change();
      setup.brick.rollover(T + i);
    }
    expect([await agent.scan(), await agent.scan(), await agent.scan(), await agent.scan()]).toEqual([2, 2, 1, 0]);
  });

  test('fails live, after what came before, when recording of changes was switched off and on', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent();
    await agent.register();
    const a = setup.brick.change();
    setup.brick.disable(T + 15);
    expect(await takeLive(agent)).toEqual([a]);
    setup.brick.enable(T + 100);
    await agent.news();
    for (let i = 0; i < 2; i += 1) {
      await expect(agent.scan()).rejects.toMatchObject({
        code: 'partial-history', message: expect.stringContaining(`recording of changes was off from ${T + 15} to ${T + 100}`) as unknown,
      });
    }
  });

  test('fails live, after what came before, when the clock was set back', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent();
    await agent.register();
    const a = setup.brick.change();
    setup.brick.rollover(T + 3600);
    expect(await takeLive(agent)).toEqual([a]);
    setup.brick.change();
    setup.brick.rollover(T + 10);
    await agent.news();
    for (let i = 0; i < 2; i += 1) {
      await expect(agent.scan()).rejects.toMatchObject({
        code: 'partial-history', message: expect.stringContaining(`the clock was set back from ${T + 3600} to ${T + 10}`) as unknown,
      });
    }
  });

  test('follows live into a new index file', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent();
    await agent.register();
    const a = setup.brick.change();
    setup.brick.disable(T + 15);
    setup.brick.enable(T + 16);
    const b = setup.brick.change();
    setup.brick.rollover(T + 30);
    expect(await takeLive(agent)).toEqual([a, b]);
  });

  test('names a garbled changelog at every scan, keeps it, and delivers what came before', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent();
    await agent.register();
    setup.brick.change();
    setup.brick.rollover(T + 15);
    setup.brick.change();
    appendFileSync(join(setup.brick.dir, 'CHANGELOG'), 'E1234');
    setup.brick.rollover(T + 30);
    const path = setup.brick.changelogPath(T + 30);
    for (let i = 0; i < 2; i += 1) {
      await expect(agent.scan()).rejects.toMatchObject({ code: 'partial-history', message: expect.stringContaining(`decode changelog: ${path}: byte`) as unknown });
    }
    expect((await agent.getchanges()).map((p) => basename(p))).toEqual([`CHANGELOG.${T + 15}`]);
    expect(existsSync(path)).toBe(true);
  });

  test('finds changelogs where the brick has them now, wherever the index says', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent();
    await agent.register();
    const a = setup.brick.change();
    setup.brick.rollover(T + 15);
    const text = readFileSync(setup.brick.htimeFile, 'latin1');
    writeFileSync(setup.brick.htimeFile, text.replace(setup.root, '/an/older/path'));
    expect(await takeLive(agent)).toEqual([a]);
  });

  test('delivers two changelogs of one second one after the other, and one that is listed twice once', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent();
    await agent.register();
    const a = setup.brick.change();
    setup.brick.rollover(T + 15);
    expect(await agent.scan()).toBe(1);
    const b = setup.brick.change();
    setup.brick.rollover(T + 15);
    expect(await agent.scan()).toBe(0);
    expect(await takeLive(agent)).toEqual([]);
    const [first] = await agent.getchanges();
    expect(gfidsIn(first!)).toEqual([a]);
    await agent.done(first!);
    expect(await takeLive(agent)).toEqual([b]);
    setup.brick.list(setup.brick.changelogPath(T + 15), T + 15);
    expect(await takeLive(agent)).toEqual([]);
  });

  test('waits for the end of an entry that is being written to the index', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent();
    await agent.register();
    setup.brick.change();
    setup.brick.rollover(T + 15);
    const whole = readFileSync(setup.brick.htimeFile);
    writeFileSync(setup.brick.htimeFile, whole.subarray(0, -4));
    expect(await agent.scan()).toBe(0);
    writeFileSync(setup.brick.htimeFile, whole);
    expect(await agent.scan()).toBe(1);
  });

  test('drops what an earlier run left undone and keeps what was done', async () => {
    setup.brick.enable(T);
    const work = join(setup.root, 'work');
    for (const dir of ['.processing', '.current', '.processed', '.history/.processing', '.history/.processed']) {
      mkdirSync(join(work, dir), { recursive: true });
      writeFileSync(join(work, dir, `CHANGELOG.${T - 5}`), 'D 00000000-0000-0000-0000-000000000001\n');
    }
    writeFileSync(join(work, 'tracker'), '');
    const agent = setup.newAgent();
    await agent.register();
    expect(await agent.getchanges()).toEqual([]);
    expect(await agent.historyGetchanges()).toEqual([]);
    expect(readdirSync(join(work, '.processed'))).toEqual([`CHANGELOG.${T - 5}`]);
    expect(readdirSync(join(work, '.history/.processed'))).toEqual([`CHANGELOG.${T - 5}`]);
  });

  test('refuses to finish a file that it did not make ready', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent();
    await agent.register();
    await expect(agent.done(join(setup.root, 'elsewhere'))).rejects.toThrow('finish changelog: ');
    await expect(agent.done(join(setup.root, 'work/.processing/CHANGELOG.5'))).rejects.toThrow('CHANGELOG.5: not there');
  });

  test('does not register on a brick without changelogs', async () => {
    await expect(setup.newAgent().register()).rejects.toMatchObject({ code: 'changelog', message: expect.stringContaining('no changelog index') as unknown });
    setup.brick.enable(T);
    setup.brick.disable(T + 5);
    await expect(setup.newAgent().register()).rejects.toMatchObject({ code: 'changelog', message: expect.stringContaining('no open changelog') as unknown });
  });

  test('registers during a rollover', async () => {
    setup.brick.enable(T);
    renameSync(join(setup.brick.dir, 'CHANGELOG'), join(setup.brick.dir, 'aside'));
    const registered = setup.newAgent().register();
    setTimeout(() => renameSync(join(setup.brick.dir, 'aside'), join(setup.brick.dir, 'CHANGELOG')), 50);
    await expect(registered).resolves.toBeGreaterThan(T);
  });

  test('sorts ready files by number', async () => {
    setup.brick.enable(999_999_000);
    setup.brick.rollover(999_999_900);
    const agent = setup.newAgent();
    await agent.register();
    for (const t of [999_999_999, 1_000_000_000]) {
      setup.brick.change();
      setup.brick.rollover(t);
    }
    await agent.scan();
    expect((await agent.getchanges()).map((p) => basename(p))).toEqual(['CHANGELOG.999999999', 'CHANGELOG.1000000000']);
  });
});
