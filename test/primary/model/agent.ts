// A changelog agent over a model volume's journals: the same verbs, with the journals written as the consumer's text
// files into a directory. History holds what was closed before register(), the live side what is closed later.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChangelogSource, HistoryResult } from '../../../src/changelog/source.js';
import { formatRecords } from '../../../src/changelog/text.js';
import type { Journal, JournalWriter } from './journal.js';

export interface AgentOptions {
  readonly directory: string;
  readonly nowS: () => number;
  /** Journals that one scan makes ready. */
  readonly journalsPerScan: number;
}

export class ModelAgent implements ChangelogSource {
  readonly #journal: JournalWriter;
  readonly #options: AgentOptions;
  readonly #stages = { live: new Set<string>(), past: new Set<string>() };
  #pastCursor = 0;
  #liveCursor = 0;
  #registered = 0;

  constructor(journal: JournalWriter, options: AgentOptions) {
    this.#journal = journal;
    this.#options = options;
    for (const stage of ['live', 'past']) mkdirSync(join(options.directory, stage), { recursive: true });
  }

  register(): Promise<number> {
    this.#registered = this.#journal.journals.length;
    this.#liveCursor = this.#registered;
    this.#pastCursor = this.#registered;
    return Promise.resolve(this.#options.nowS());
  }

  scan(): Promise<number> {
    const { journals } = this.#journal;
    const count = this.#stage('live', journals.slice(this.#liveCursor));
    this.#liveCursor += count;
    return Promise.resolve(count);
  }

  getchanges(): Promise<string[]> {
    return Promise.resolve([...this.#stages.live]);
  }

  reached(): number {
    return this.#journal.journals[this.#liveCursor - 1]?.timeS ?? 0;
  }

  done(path: string): Promise<void> {
    return this.#done('live', path);
  }

  history(startTime: number): Promise<HistoryResult> {
    const first = this.#journal.journals.findIndex(({ timeS }) => timeS >= startTime);
    this.#pastCursor = first < 0 ? this.#registered : first;
    return Promise.resolve({ status: 'ok', actualEnd: this.#options.nowS(), setBack: null });
  }

  historyScan(): Promise<number> {
    const count = this.#stage('past', this.#journal.journals.slice(this.#pastCursor, this.#registered));
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
    for (const stage of ['live', 'past']) rmSync(join(this.#options.directory, stage), { recursive: true, force: true });
  }

  #stage(stage: 'live' | 'past', journals: readonly Journal[]): number {
    const ready = journals.slice(0, this.#options.journalsPerScan);
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
