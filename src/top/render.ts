// Renders reports as lines of a terminal: a block for each brick, or one row for each if blocks do not fit. Pure.
// Invariant: no line is wider than requested, and it contains only printable characters and this file's colour
// sequences.

import type { BrickReport } from '../progress/report.js';
import type { SessionReport } from '../progress/sessions.js';
import { bar, truncate, padTo, escapeForTerminal, sparkline, widthOf, type Charset } from './text.js';
import { formatBytes, formatClock, formatCount, formatRate, formatSpan } from './units.js';

export interface RenderOptions {
  readonly columns: number;
  readonly charset: Charset;
  readonly colours: 'on' | 'off';
  /** Available lines. If blocks need more, each brick gets one row. Absent: no limit. */
  readonly rows?: number;
  readonly shape?: 'blocks' | 'rows';
}

type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold';
const SGR: Readonly<Record<Colour, string>> = { red: '31', green: '32', yellow: '33', cyan: '36', dim: '2', bold: '1' };
const LABEL_COLUMNS = 11;
const MAX_REASONS = 3;
const MIN_COLUMNS = 20;

/** A piece of a line. It gets its colour after the cut. */
type StyledText = string | readonly [Colour, string];

export function renderTop(sessions: readonly SessionReport[], nowMs: number, options: RenderOptions): string[] {
  const renderer = new Renderer(nowMs, { ...options, columns: Math.max(MIN_COLUMNS, options.columns) });
  const blocks = renderer.sessions(sessions, options.shape ?? 'blocks');
  if (options.shape === undefined && options.rows !== undefined && blocks.length > options.rows)
    return renderer.sessions(sessions, 'rows');
  return blocks;
}

class Renderer {
  readonly #nowMs: number;
  readonly #options: RenderOptions;

  constructor(nowMs: number, options: RenderOptions) {
    this.#nowMs = nowMs;
    this.#options = options;
  }

  sessions(sessions: readonly SessionReport[], shape: 'blocks' | 'rows'): string[] {
    if (sessions.length === 0) return [this.#line(['no geo-replication session on this node'])];
    const lines: string[] = [];
    for (const session of sessions) {
      if (lines.length > 0) lines.push('');
      lines.push(this.#title(session));
      if (session.bricks.length === 0) lines.push(this.#line(['  no worker has run here yet']));
      for (const bricks of findDuplicateSenders(session.bricks))
        lines.push(
          this.#line([
            [
              'yellow',
              `  ${bricks.join(' and ')} hold the same files, and each sends them all: use-meta-volume lets one do it`,
            ],
          ]),
        );
      if (shape === 'rows') lines.push(...this.#table(session.bricks));
      else for (const brick of session.bricks) lines.push(...this.#block(brick));
    }
    return lines;
  }

  #title({ name, primary, secondary, monitor }: SessionReport): string {
    const pair = primary === null || secondary === null ? name : `${primary} ${this.#arrow} ${secondary}`;
    return this.#line([
      ['bold', pair],
      monitor === null || monitor === '' ? '' : `   session: ${monitor}`,
      ['dim', `   ${formatClock(this.#nowMs / 1000, this.#nowMs)}`],
    ]);
  }

  #block(report: BrickReport): string[] {
    const { charset } = this.#options;
    const { failures, lastError, firstSync, checkpoint, backlog, worker } = report;
    const lines = [this.#headline(report)];
    if (firstSync !== null) {
      const { synced, expected, state, fraction } = firstSync;
      const approximately = state === 'walking' ? (charset === 'ascii' ? '~' : '≈') : '';
      const progressText =
        expected === null
          ? `${formatCount(synced)} entries, ${formatCount(firstSync.seen)} found`
          : `${formatCount(synced)} of ${approximately}${formatCount(expected)} entries`;
      lines.push(
        this.#row('first sync', [
          progressText,
          fraction === null ? '' : `  ${bar(fraction, 20, charset)} ${Math.floor(fraction * 100)}%`,
          ['cyan', this.#etaText(report)],
        ]),
      );
    }
    lines.push(this.#row('lag', this.#lagText(report, firstSync === null ? this.#etaText(report) : '')));
    const backlogTexts = [
      ...(backlog.changelogs === null ? [] : [withUnit(backlog.changelogs, 'changelog')]),
      withUnit(backlog.entries, 'entry', 'entries'),
      ...(backlog.meta > 0 ? [withUnit(backlog.meta, 'attribute')] : []),
      withUnit(backlog.data, 'file'),
      ...(backlog.bytes === null || (backlog.bytes === 0 && backlog.data > 0) ? [] : [formatBytes(backlog.bytes)]),
    ];
    lines.push(this.#row('backlog', [backlogTexts.join('  ')]));
    lines.push(this.#rateRow('entries', `${formatRate(report.rates.entries)}/s`, report.history.entries));
    lines.push(this.#rateRow('files', `${formatRate(report.rates.files)}/s`, report.history.files));
    lines.push(this.#rateRow('bytes', `${formatBytes(report.rates.bytes)}/s`, report.history.bytes));
    const { transfers } = report;
    if (transfers !== null && transfers.busy > 0) {
      lines.push(
        this.#row('transfers', [
          `${transfers.busy} of ${transfers.total} running`,
          transfers.longest === null ? '' : `, the longest for ${formatSpan(transfers.longest)}`,
        ]),
      );
    }
    if (checkpoint !== null) {
      const done = checkpoint.completed
        ? `completed${checkpoint.completionTime === null ? '' : ` ${formatClock(checkpoint.completionTime, this.#nowMs)}`}`
        : 'reached, waiting for failures to be synced';
      lines.push(this.#row('checkpoint', [`${formatClock(checkpoint.time, this.#nowMs)}  ${done}`]));
    }
    if (failures.count > 0) lines.push(...this.#failureRows(report));
    if (worker !== null && worker.restarts > 0)
      lines.push(
        this.#row('restarts', [
          ['yellow', formatCount(worker.restarts)],
          `  last start ${formatClock(worker.started, this.#nowMs)}`,
        ]),
      );
    if (lastError !== null) lines.push(this.#row('last error', [['red', lastError]]));
    return lines;
  }

  #headline({ brick, state, crawl, secondaryNode }: BrickReport): string {
    const details = `${crawl === 'N/A' ? '' : `  ${crawl}`}${secondaryNode === null ? '' : `  ${this.#arrow} ${secondaryNode}`}`;
    const available = this.#options.columns - widthOf(state) - 2;
    const name = truncate(
      escapeForTerminal(brick, this.#options.charset),
      Math.max(10, available - Math.min(widthOf(details), 32)),
      this.#options.charset,
    );
    return this.#line([['bold', name], '  ', [stateColour(state), state], details]);
  }

  #lagText({ lag, lastSynced, pending, state, firstSync }: BrickReport, eta: string): StyledText[] {
    const syncedUpTo: StyledText =
      lastSynced === null ? '' : ['dim', `   synced up to ${formatClock(lastSynced, this.#nowMs)}`];
    if (state === 'Passive') return ['passive: another brick of its replica set is active', syncedUpTo];
    if (lag === null)
      return [firstSync === null ? 'unknown: never synced' : 'none yet: first sync not finished', syncedUpTo];
    if (lag === 0 && pending === 'no') return [['green', '0s'], '  nothing is pending', syncedUpTo];
    return [
      [lag > 300 ? 'red' : lag > 60 ? 'yellow' : 'green', formatSpan(lag)],
      pending === 'unknown' ? '  at most' : '',
      ['cyan', eta],
      syncedUpTo,
    ];
  }

  #etaText({ eta, pending }: BrickReport): string {
    if (pending !== 'yes') return '';
    return eta === null ? '' : `  ETA ${formatSpan(eta)}`;
  }

  #rateRow(label: string, current: string, history: readonly number[]): string {
    const cells = Math.max(0, Math.min(history.length, this.#options.columns - LABEL_COLUMNS - 16 - 3));
    return this.#row(label, [
      padTo(current, 14, this.#options.charset),
      ' ',
      ['cyan', sparkline(history.slice(history.length - cells), this.#options.charset)],
    ]);
  }

  #failureRows({ failures }: BrickReport): string[] {
    const { reasons = [], byKind } = failures;
    const kinds =
      byKind === undefined
        ? ''
        : Object.entries(byKind)
            .filter(([, n]) => n > 0)
            .map(([kind, n]) => `${formatCount(n)} ${kind}`)
            .join(', ');
    const lines = [this.#row('failures', [['red', formatCount(failures.count)], kinds === '' ? '' : `  (${kinds})`])];
    for (const { reason, count: n, example } of reasons.slice(0, MAX_REASONS)) {
      lines.push(this.#row('', [`${formatCount(n)} x ${reason}`]), this.#row('', [['dim', `  e.g. ${example}`]]));
    }
    if (reasons.length > MAX_REASONS)
      lines.push(this.#row('', [['dim', `and ${reasons.length - MAX_REASONS} other reasons`]]));
    return lines;
  }

  #table(bricks: readonly BrickReport[]): string[] {
    const { charset, columns } = this.#options;
    const nameColumns = Math.max(8, columns - 69);
    const cells = (values: readonly string[]): string => {
      const [first = '', state = '', ...rest] = values;
      return `${padTo(escapeForTerminal(first, charset), nameColumns, charset)} ${padTo(state, 15, charset)} ${rest.map((value, i) => padTo(value, [8, 6, 9, 8, 11, 5][i] ?? 8, charset, 'right')).join(' ')}`;
    };
    const lines = bricks.map((b): string => {
      const lag = b.lag === null ? '-' : formatSpan(b.lag);
      const backlog = b.backlog.changelogs === null ? '-' : formatCount(b.backlog.changelogs);
      const eta =
        b.firstSync?.fraction === null || b.firstSync === null
          ? formatCount(b.backlog.data)
          : `${Math.floor(b.firstSync.fraction * 100)}%`;
      const row = cells([
        b.brick,
        b.state,
        lag,
        backlog,
        eta,
        formatRate(b.rates.files),
        formatBytes(b.rates.bytes),
        formatCount(b.failures.count),
      ]);
      return this.#line([[b.failures.count > 0 ? 'red' : stateColour(b.state), row]]);
    });
    return [
      this.#line([['dim', cells(['brick', 'state', 'lag', 'jrnls', 'to send', 'files/s', 'bytes/s', 'fail'])]]),
      ...lines,
    ];
  }

  #row(label: string, pieces: readonly StyledText[]): string {
    return this.#line([['dim', `  ${padTo(label, LABEL_COLUMNS, this.#options.charset)}`], ...pieces]);
  }

  /** Joins pieces to a line: makes them safe, cuts them to the width, and then colours them. */
  #line(pieces: readonly StyledText[]): string {
    const { columns, charset, colours } = this.#options;
    let remaining = columns;
    let line = '';
    for (const piece of pieces) {
      const [colour, raw] = typeof piece === 'string' ? [null, piece] : piece;
      const text = truncate(escapeForTerminal(raw, charset), remaining, charset);
      remaining -= widthOf(text);
      line += colour === null || colours === 'off' || text === '' ? text : `\u001b[${SGR[colour]}m${text}\u001b[0m`;
      if (remaining <= 0) break;
    }
    return colours === 'off' ? line.trimEnd() : line;
  }

  get #arrow(): string {
    return this.#options.charset === 'ascii' ? '->' : '→';
  }
}

/** Bricks of sets in which more than one brick is active. Workers of one node share its uuid, so the uuid cannot
 *  decide whose turn it is. */
function findDuplicateSenders(bricks: readonly BrickReport[]): string[][] {
  const active = bricks.filter(({ state, set }) => state === 'Active' && set !== null);
  const sets = new Set(active.map(({ set }) => set));
  return [...sets]
    .map((replicaSet) => active.filter(({ set }) => set === replicaSet).map(({ brick }) => brick))
    .filter((duplicates) => duplicates.length > 1);
}

function withUnit(n: number, singular: string, plural = `${singular}s`): string {
  return `${formatCount(n)} ${n === 1 ? singular : plural}`;
}

function stateColour(state: BrickReport['state']): Colour {
  if (state === 'Active') return 'green';
  if (state === 'Faulty') return 'red';
  return state === 'Passive' ? 'cyan' : 'yellow';
}
