import { appendFileSync, cpSync, renameSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { T, setUp } from './agent-harness.js';
import { lacksRoot } from '../skip.js';

const setup = setUp();

describe.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))('ChangelogAgent: news()', () => {
  test('comes well under 200 ms after a rollover', async () => {
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

  test('comes at once for what is there, and not again when it was scanned', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent({ changeIntervalMs: 20 });
    await agent.register();
    setup.brick.change();
    setup.brick.rollover(T + 15);
    await agent.news();
    await agent.scan();
    const next = agent.news();
    expect(await Promise.race([next.then(() => 'news'), new Promise((resolve) => setTimeout(() => resolve('quiet'), 100))])).toBe('quiet');
    appendFileSync(setup.brick.htimeFile, '/torn/entr');
    expect(await Promise.race([next.then(() => 'news'), new Promise((resolve) => setTimeout(() => resolve('quiet'), 100))])).toBe('quiet');
  });

  test('comes without a working watch, after the interval', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent({ changeIntervalMs: 100 });
    await agent.register();
    // A directory that is replaced takes its watch with it.
    renameSync(setup.brick.htimeDir, `${setup.brick.htimeDir}.old`);
    cpSync(`${setup.brick.htimeDir}.old`, setup.brick.htimeDir, { recursive: true });
    const news = agent.news();
    setup.brick.change();
    setup.brick.rollover(T + 15);
    await news;
    expect(await agent.scan()).toBe(1);
  });

  test('ends when the agent is closed', async () => {
    setup.brick.enable(T);
    const agent = setup.newAgent();
    await agent.register();
    const news = agent.news();
    agent.close();
    await news;
  });
});
