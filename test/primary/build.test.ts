// The five slots combined: every combination composes and behaves as its parts, slots share no members, and a missing slot
// does not compile.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { PrimaryBase } from '../../src/primary/base.js';
import { CRAWLS, gmasterBuilder, MODES, slotsFromConfig, type Slots } from '../../src/primary/build.js';
import { withChangelogCrawl } from '../../src/primary/mixins/crawl-changelog.js';
import type { PrimaryDeps } from '../../src/primary/deps.js';
import { withRsyncEngine } from '../../src/primary/mixins/engine-rsync.js';
import { withTarsshEngine } from '../../src/primary/mixins/engine-tarssh.js';
import { withNormalMode } from '../../src/primary/mixins/mode.js';
import { withPurgeNoop, withPurgeNormal } from '../../src/primary/mixins/purge.js';
import { withSendmarkNormal, withSendmarkRsync } from '../../src/primary/mixins/sendmark.js';
import { FailureList } from '../../src/status/failures.js';
import { ModelAgent } from './model/agent.js';
import { ModelTransfer } from './model/data.js';
import { modelDeps } from './model/deps.js';
import { ChangelogWriter } from './model/changelog.js';
import { ModelBrick, ModelMount } from './model/primary-side.js';
import { StockSecondary } from './model/stock-secondary.js';
import { ModelVolume } from './model/volume.js';

const directory = mkdtempSync(join(tmpdir(), 'gsyncd-build-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let deps: PrimaryDeps;
beforeAll(async () => {
  const [primary, secondary] = [new ModelVolume(() => 1), new ModelVolume(() => 1)];
  const changelog = new ChangelogWriter(primary, () => [1, 0]);
  const turn = (): Promise<void> => Promise.resolve();
  deps = modelDeps({
    volume: new ModelMount(primary, changelog, turn),
    brick: new ModelBrick(primary, changelog, turn),
    secondary: new StockSecondary(secondary, { distCount: 1, turn }),
    agent: new ModelAgent(changelog, { directory, nowS: () => 1, changelogsPerScan: 1 }),
    failures: await FailureList.load(directory),
    workingDir: directory,
    transfer: new ModelTransfer(primary, secondary, turn),
  });
});

const MODE_NAMES = Object.keys(MODES) as (keyof typeof MODES)[];
const CRAWL_NAMES = Object.keys(CRAWLS) as (keyof typeof CRAWLS)[];
const COMBINATIONS: Slots[] = MODE_NAMES.flatMap((mode) =>
  (['normal', 'rsync'] as const).flatMap((sendmark) =>
    (['normal', 'noop'] as const).flatMap((purge) =>
      (['rsync', 'tarssh'] as const).flatMap((engine) =>
        CRAWL_NAMES.map((crawl) => ({ mode, sendmark, purge, engine, crawl })),
      ),
    ),
  ),
);

/** Own members of the classes that a mixin puts on top of `Base`. */
function membersOf(Mixed: { readonly prototype: object }, Base: { readonly prototype: object }): Set<string> {
  const names = new Set<string>();
  for (
    let at: object | null = Mixed.prototype;
    at !== null && at !== Base.prototype;
    at = Object.getPrototypeOf(at) as object | null
  ) {
    for (const name of Object.getOwnPropertyNames(at)) if (name !== 'constructor') names.add(name);
  }
  return names;
}

describe('gmasterBuilder()', () => {
  test('composes all combinations of slots', () => {
    expect(COMBINATIONS).toHaveLength(72);
    for (const slots of COMBINATIONS) {
      const engines = { rsync: vi.fn(), tarssh: vi.fn(), attributes: vi.fn() };
      const primary = new (gmasterBuilder(slots))({ ...deps, engines });
      primary.makeEngine();
      expect({
        engine:
          engines.rsync.mock.calls.length === 1 ? 'rsync' : engines.tarssh.mock.calls.length === 1 ? 'tarssh' : 'none',
        deletes: primary.deletes,
        crawl: primary.crawlName,
        makesMarks: primary.shouldCreateMarks(),
      }).toEqual({
        engine: slots.engine,
        deletes: slots.purge === 'normal' ? 'apply' : 'ignore',
        crawl: { changelog: 'live_changelog', changeloghistory: 'history_changelog', xsync: 'xsync' }[slots.crawl],
        makesMarks: slots.mode !== 'recover',
      });
    }
  });

  test('slotsFromConfig() reads the slots from the configuration', () => {
    expect(slotsFromConfig(deps.config)).toEqual({
      mode: 'normal',
      sendmark: 'normal',
      purge: 'normal',
      engine: 'rsync',
      crawl: 'changelog',
    });
    expect(slotsFromConfig(deps.config, 'changeloghistory').crawl).toBe('changeloghistory');
    const others = {
      'special-sync-mode': 'recover',
      'use-rsync-xattrs': 'true',
      'ignore-deletes': 'true',
      'sync-method': 'tarssh',
      'change-detector': 'xsync',
    } as const;
    const config = {
      get: (name: keyof typeof others) => (others[name] === 'true' ? true : others[name]),
    } as unknown as PrimaryDeps['config'];
    expect(slotsFromConfig(config, 'changeloghistory')).toEqual({
      mode: 'recover',
      sendmark: 'rsync',
      purge: 'noop',
      engine: 'tarssh',
      crawl: 'xsync',
    });
  });

  test('slotsFromConfig() refuses an unknown special-sync-mode', () => {
    const config = { get: () => 'toString' } as unknown as PrimaryDeps['config'];
    expect(() => slotsFromConfig(config)).toThrow(/special-sync-mode: toString/);
  });
});

describe('slots', () => {
  abstract class AllButCrawl extends withNormalMode(
    withSendmarkNormal(withPurgeNormal(withRsyncEngine(PrimaryBase))),
  ) {}
  const slots: Record<string, Set<string>[]> = {
    mode: MODE_NAMES.map((name) => membersOf(MODES[name](PrimaryBase), PrimaryBase)),
    sendmark: [withSendmarkNormal, withSendmarkRsync].map((mixin) => membersOf(mixin(PrimaryBase), PrimaryBase)),
    purge: [withPurgeNormal, withPurgeNoop].map((mixin) => membersOf(mixin(PrimaryBase), PrimaryBase)),
    engine: [withRsyncEngine, withTarsshEngine].map((mixin) => membersOf(mixin(PrimaryBase), PrimaryBase)),
    crawl: CRAWL_NAMES.map((name) => membersOf(CRAWLS[name](AllButCrawl), AllButCrawl)),
  };

  test('share no member names', () => {
    const owner = new Map<string, string>();
    for (const [slot, variants] of Object.entries(slots)) {
      expect(variants.every((names) => names.size > 0)).toBe(true);
      for (const name of new Set(variants.flatMap((names) => [...names]))) {
        expect(owner.get(name), `${name} of ${slot}`).toBeUndefined();
        owner.set(name, slot);
      }
    }
  });

  test('override no member of the base, except for the crawl', () => {
    const base = membersOf(PrimaryBase, Object);
    for (const slot of ['mode', 'sendmark', 'purge', 'engine'] as const) {
      for (const names of slots[slot] ?? []) expect([...names].filter((name) => base.has(name))).toEqual([]);
    }
  });

  test('of one kind have the same members', () => {
    for (const slot of ['sendmark', 'purge', 'engine'] as const) {
      const [one, other] = slots[slot] ?? [];
      expect(other).toEqual(one);
    }
  });

  test('do not compile when one is missing', () => {
    // @ts-expect-error a crawl needs mode, sendmark and purge too
    withChangelogCrawl(withRsyncEngine(PrimaryBase));
    // @ts-expect-error a crawl needs an engine
    withChangelogCrawl(withNormalMode(withSendmarkNormal(withPurgeNormal(PrimaryBase))));
    // @ts-expect-error a crawl needs a purge
    withChangelogCrawl(withNormalMode(withSendmarkNormal(withRsyncEngine(PrimaryBase))));
    // @ts-expect-error a crawl needs a sendmark
    withChangelogCrawl(withNormalMode(withPurgeNormal(withRsyncEngine(PrimaryBase))));
    // @ts-expect-error without a mode the base stays abstract
    withChangelogCrawl(withSendmarkNormal(withPurgeNormal(withRsyncEngine(PrimaryBase))));
    expect(withChangelogCrawl(AllButCrawl)).toBeTypeOf('function');
  });
});
