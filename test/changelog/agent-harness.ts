// Setup for the agent's tests: a fake brick, agents on it, and consumers that take everything.

import { mkdtempSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { ChangelogAgent, type ChangelogAgentOptions } from '../../src/changelog/agent.js';
import { parseText } from '../../src/changelog/text.js';
import { FakeBrick } from './brick.js';

/** Time at which the fake bricks enable changelogs, seconds. */
export const T = 1_700_000_000;

export interface Setup {
  readonly root: string;
  readonly brick: FakeBrick;
  newAgent(options?: Partial<ChangelogAgentOptions>): ChangelogAgent;
  /** Replaces the brick with an empty one. */
  reset(): void;
}

/** Each test gets a new brick in a new directory. */
export function setUp(): Setup {
  let root = '';
  let brick: FakeBrick;
  let agents: ChangelogAgent[] = [];
  const clear = (): void => {
    for (const agent of agents) agent.close();
    agents = [];
    rmSync(root, { recursive: true });
  };
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'agent-'));
    brick = new FakeBrick(root);
  });
  afterEach(clear);
  return {
    get root() {
      return root;
    },
    get brick() {
      return brick;
    },
    newAgent(options = {}) {
      const agent = new ChangelogAgent({
        changelogDir: brick.dir,
        workingDir: join(root, 'work'),
        changeIntervalMs: 60_000,
        ...options,
      });
      agents.push(agent);
      return agent;
    },
    reset() {
      clear();
      mkdirSync(root);
      brick = new FakeBrick(root);
    },
  };
}

export const gfidsIn = (path: string): string[] => parseText(readFileSync(path)).map(({ gfid }) => gfid);

export async function takeLive(agent: ChangelogAgent): Promise<string[]> {
  const gfids: string[] = [];
  while ((await agent.scan()) > 0) {
    for (const path of await agent.getchanges()) {
      gfids.push(...gfidsIn(path));
      await agent.done(path);
    }
  }
  return gfids;
}

export async function takeHistory(agent: ChangelogAgent): Promise<string[]> {
  const gfids: string[] = [];
  while ((await agent.historyScan()) > 0) {
    for (const path of await agent.historyGetchanges()) {
      gfids.push(...gfidsIn(path));
      await agent.historyDone(path);
    }
  }
  return gfids;
}
