// A changelog agent over a model volume's changelogs: the same verbs, with the changelogs written as the consumer's text
// files into a directory. History holds what was closed before register(), the live side what is closed later.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChangelogSource, HistoryResult } from '../../../src/changelog/source.js';
import { formatRecords } from '../../../src/changelog/text.js';
import type { Changelog, ChangelogWriter } from './changelog.js';

export interface AgentOptions {
  readonly directory: string;
  readonly nowS: () => number;
  /** Changelogs that one scan makes ready. */
  readonly changelogsPerScan: number;
}

export class ModelAgent implements ChangelogSource {
  readonly #changelog: ChangelogWriter;
  readonly #options: AgentOptions;
  readonly #stages = { live: new Set<string>(), past: new Set<string>() };
  #pastCursor = 0;
  #liveCursor = 0;
  #registered = 0;

  constructor(changelog: ChangelogWriter, options: AgentOptions) {
    this.#changelog = changelog;
    this.#options = options;
    for (const stage of ['live', 'past']) mkdirSync(join(options.directory, stage), { recursive: true });
  }

  register(): Promise<number> {
    this.#registered = this.#changelog.changelogs.length;
    this.#liveCursor = this.#registered;
    this.#pastCursor = this.#registered;
    return Promise.resolve(this.#options.nowS());
  }

  scan(): Promise<number> {
    const { changelogs } = this.#changelog;
    const count = this.#stage('live', changelogs.slice(this.#liveCursor));
    this.#liveCursor += count;
    return Promise.resolve(count);
  }

  getchanges(): Promise<string[]> {
    return Promise.resolve([...this.#stages.live]);
  }

  reached(): number {
    return this.#changelog.changelogs[this.#liveCursor - 1]?.timeS ?? 0;
  }

  done(path: string): Promise<void> {
    return this.#done('live', path);
  }

  history(startTime: number): Promise<HistoryResult> {
    const first = this.#changelog.changelogs.findIndex(({ timeS }) => timeS >= startTime);
    this.#pastCursor = first < 0 ? this.#registered : first;
    return Promise.resolve({ status: 'ok', actualEnd: this.#options.nowS(), setBack: null });
  }

  historyScan(): Promise<number> {
    const count = this.#stage('past', this.#changelog.changelogs.slice(this.#pastCursor, this.#registered));
    this.#pastCursor += count;
    return Promise.resolve(count);
  }

  passSetBack(): Promise<void> {
    return Promise.resolve();
  }

  historyBegin(): Promise<number | null> {
    return Promise.resolve(0);
  }

  historyLosses(): [] {
    return [];
  }

  historyGetchanges(): Promise<string[]> {
    return Promise.resolve([...this.#stages.past]);
  }

  historyDone(path: string): Promise<void> {
    return this.#done('past', path);
  }

  news(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    for (const stage of ['live', 'past'])
      rmSync(join(this.#options.directory, stage), { recursive: true, force: true });
  }

  #stage(stage: 'live' | 'past', changelogs: readonly Changelog[]): number {
    const ready = changelogs.slice(0, this.#options.changelogsPerScan);
    for (const { timeS, records } of ready) {
      const path = join(this.#options.directory, stage, `CHANGELOG.${timeS}`);
      writeFileSync(path, formatRecords(records));
      this.#stages[stage].add(path);
    }
    return ready.length;
  }

  #done(stage: 'live' | 'past', path: string): Promise<void> {
    this.#stages[stage].delete(path);
    rmSync(path);
    return Promise.resolve();
  }
}
