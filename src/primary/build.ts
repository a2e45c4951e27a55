// Port of gmaster_builder: applies the mixins, the engine innermost and the crawl outermost. A slot that is missing or in the
// wrong place does not compile.

import { GsyncdError } from '../errors.js';
import { PrimaryBase, type SharedParts } from './base.js';
import { withChangelogCrawl, type ChangelogCrawl, type CrawlBase } from './mixins/crawl-changelog.js';
import { withHistoryCrawl } from './mixins/crawl-history.js';
import { withXsyncCrawl } from './mixins/crawl-xsync.js';
import type { PrimaryDeps } from './deps.js';
import { withRsyncEngine } from './mixins/engine-rsync.js';
import { withTarsshEngine } from './mixins/engine-tarssh.js';
import { withNormalMode, withPartialMode, withRecoverMode } from './mixins/mode.js';
import { withPurgeNoop, withPurgeNormal } from './mixins/purge.js';
import { withSendmarkNormal, withSendmarkRsync } from './mixins/sendmark.js';

export type Primary = CrawlBase & ChangelogCrawl;
export type PrimaryClass = new (deps: PrimaryDeps, shared?: SharedParts) => Primary;

export const MODES = { normal: withNormalMode, partial: withPartialMode, recover: withRecoverMode } as const;
export const CRAWLS = {
  changelog: withChangelogCrawl,
  changeloghistory: withHistoryCrawl,
  xsync: withXsyncCrawl,
} as const;

export interface Slots {
  readonly mode: keyof typeof MODES;
  readonly sendmark: 'normal' | 'rsync';
  readonly purge: 'normal' | 'noop';
  readonly engine: 'rsync' | 'tarssh';
  readonly crawl: keyof typeof CRAWLS;
}

export function gmasterBuilder(slots: Slots): PrimaryClass {
  const engine = slots.engine === 'tarssh' ? withTarsshEngine(PrimaryBase) : withRsyncEngine(PrimaryBase);
  const purge = slots.purge === 'noop' ? withPurgeNoop(engine) : withPurgeNormal(engine);
  const sendmark = slots.sendmark === 'rsync' ? withSendmarkRsync(purge) : withSendmarkNormal(purge);
  const mode = MODES[slots.mode](sendmark);
  const crawl = CRAWLS[slots.crawl](mode);
  class GPrimary extends crawl {}
  return GPrimary;
}

/** A worker's three crawlers, with one pipeline and one volume info. */
export function makeCrawlers(deps: PrimaryDeps): Readonly<Record<'xsync' | 'live' | 'history', Primary>> {
  const shared: SharedParts = { volinfo: null, pipeline: null };
  const make = (crawl?: keyof typeof CRAWLS): Primary =>
    new (gmasterBuilder(slotsFromConfig(deps.config, crawl)))(deps, shared);
  return { xsync: make('xsync'), live: make(), history: make('changeloghistory') };
}

/** Chooses the slots by the configuration.
 *  @param excrawl the crawl to build unless change-detector is xsync
 *  @throws GsyncdError 'config' for an unknown special-sync-mode */
export function slotsFromConfig(config: PrimaryDeps['config'], excrawl?: keyof typeof CRAWLS): Slots {
  const mode = config.get('special-sync-mode') || 'normal';
  if (!Object.hasOwn(MODES, mode)) {
    throw new GsyncdError(`special-sync-mode: ${mode}: must be one of ${Object.keys(MODES).join(', ')}`, {
      code: 'config',
    });
  }
  const detector = config.get('change-detector');
  return {
    mode,
    sendmark: config.get('use-rsync-xattrs') ? 'rsync' : 'normal',
    purge: config.get('ignore-deletes') ? 'noop' : 'normal',
    engine: config.get('sync-method') === 'tarssh' ? 'tarssh' : 'rsync',
    crawl: detector === 'xsync' ? 'xsync' : (excrawl ?? 'changelog'),
  };
}
