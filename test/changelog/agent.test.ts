import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { T, gfidsIn, setUp, takeLive } from './agent-harness.js';
import { lacksRoot } from '../skip.js';

const setup = setUp();

describe.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))('ChangelogAgent: live', () => {
  test('uses the working directory layout of libgfchangelog', async () => {
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

  test('scan() delivers at most maxBytes of changelogs', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent({ maxBytes: 60 });
    await agent.register();
    for (let i = 1; i <= 5; i += 1) {
      setup.brick.change();
      setup.brick.rollover(T + i);
    }
    expect([await agent.scan(), await agent.scan(), await agent.scan(), await agent.scan()]).toEqual([2, 2, 1, 0]);
  });

  test('scan() delivers earlier changelogs, then fails, when changelogs were disabled and enabled', async () => {
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
        code: 'partial-history',
        message: expect.stringContaining(`recording of changes was off from ${T + 15} to ${T + 100}`) as unknown,
      });
    }
  });

  test('scan() delivers earlier changelogs, then fails, when the clock was set back', async () => {
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
        code: 'partial-history',
        message: expect.stringContaining(`the clock was set back from ${T + 3600} to ${T + 10}`) as unknown,
      });
    }
  });

  test('scan() continues in a new HTIME file', async () => {
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

  test('scan() delivers earlier changelogs, names a damaged one each time, and keeps it', async () => {
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
      await expect(agent.scan()).rejects.toMatchObject({
        code: 'partial-history',
        message: expect.stringContaining(`decode changelog: ${path}: byte`) as unknown,
      });
    }
    expect((await agent.getchanges()).map((p) => basename(p))).toEqual([`CHANGELOG.${T + 15}`]);
    expect(existsSync(path)).toBe(true);
  });

  test('finds changelogs in the present brick directory when HTIME lists an older brick path', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent();
    await agent.register();
    const a = setup.brick.change();
    setup.brick.rollover(T + 15);
    const text = readFileSync(setup.brick.htimeFile, 'latin1');
    writeFileSync(setup.brick.htimeFile, text.replace(setup.root, '/an/older/path'));
    expect(await takeLive(agent)).toEqual([a]);
  });

  test('delivers two changelogs of one second in turn, and a changelog listed twice only once', async () => {
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

  test('scan() waits for the rest of a partly written HTIME entry', async () => {
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

  test('register() drops unprocessed files of an earlier run and keeps processed ones', async () => {
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

  test('done() refuses a file that scan() did not deliver', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent();
    await agent.register();
    await expect(agent.done(join(setup.root, 'elsewhere'))).rejects.toThrow('finish changelog: ');
    await expect(agent.done(join(setup.root, 'work/.processing/CHANGELOG.5'))).rejects.toThrow(
      'CHANGELOG.5: not there',
    );
  });

  test('register() fails on a brick without an HTIME index or an open changelog', async () => {
    await expect(setup.newAgent().register()).rejects.toMatchObject({
      code: 'changelog',
      message: expect.stringContaining('no changelog index') as unknown,
    });
    setup.brick.enable(T);
    setup.brick.disable(T + 5);
    await expect(setup.newAgent().register()).rejects.toMatchObject({
      code: 'changelog',
      message: expect.stringContaining('no open changelog') as unknown,
    });
  });

  test('register() succeeds during a rollover', async () => {
    setup.brick.enable(T);
    renameSync(join(setup.brick.dir, 'CHANGELOG'), join(setup.brick.dir, 'aside'));
    const registered = setup.newAgent().register();
    setTimeout(() => renameSync(join(setup.brick.dir, 'aside'), join(setup.brick.dir, 'CHANGELOG')), 50);
    await expect(registered).resolves.toBeGreaterThan(T);
  });

  test('getchanges() sorts changelogs by number, not by text', async () => {
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
