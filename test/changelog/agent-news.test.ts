import { appendFileSync, cpSync, renameSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { T, setUp } from './agent-harness.js';
import { lacksRoot } from '../skip.js';

const setup = setUp();

describe.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))('ChangelogAgent: news()', () => {
  test('resolves within 200 ms of a rollover (median of five)', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent();
    await agent.register();
    const delays: number[] = [];
    for (let i = 1; i <= 5; i += 1) {
      const news = agent.news();
      await new Promise((resolve) => setTimeout(resolve, 20));
      setup.brick.change();
      setup.brick.rollover(T + i);
      const start = performance.now();
      await news;
      delays.push(performance.now() - start);
      expect(await agent.scan()).toBe(1);
    }
    expect(delays.sort((a, b) => a - b)[2]).toBeLessThan(200);
  });

  test('resolves at once for an unscanned changelog, and not again after scan()', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent({ changeIntervalMs: 20 });
    await agent.register();
    setup.brick.change();
    setup.brick.rollover(T + 15);
    await agent.news();
    await agent.scan();
    const next = agent.news();
    expect(
      await Promise.race([next.then(() => 'news'), new Promise((resolve) => setTimeout(() => resolve('quiet'), 100))]),
    ).toBe('quiet');
    appendFileSync(setup.brick.htimeFile, '/torn/entr');
    expect(
      await Promise.race([next.then(() => 'news'), new Promise((resolve) => setTimeout(() => resolve('quiet'), 100))]),
    ).toBe('quiet');
  });

  test('resolves after the change interval when the inotify watch is lost', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent({ changeIntervalMs: 100 });
    await agent.register();
    // Replacing the directory removes its inotify watch.
    renameSync(setup.brick.htimeDir, `${setup.brick.htimeDir}.old`);
    cpSync(`${setup.brick.htimeDir}.old`, setup.brick.htimeDir, { recursive: true });
    const news = agent.news();
    setup.brick.change();
    setup.brick.rollover(T + 15);
    await news;
    expect(await agent.scan()).toBe(1);
  });

  test('resolves when the agent is closed', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent();
    await agent.register();
    const news = agent.news();
    agent.close();
    await news;
  });
});
