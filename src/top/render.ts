// Renders reports as lines of a terminal: a block for each brick, or one row for each if blocks do not fit. Pure.
// Invariant: no line is wider than requested, and it contains only printable characters and this file's colour
// sequences.

import type { BrickReport } from '../progress/report.js';
import type { SessionReport } from '../progress/sessions.js';
import { bar, cut, pad, plain, sparkline, widthOf, type Charset } from './text.js';
import { bytes, clock, count, rate, span } from './units.js';

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
type Piece = string | readonly [Colour, string];

export function renderTop(sessions: readonly SessionReport[], nowMs: number, options: RenderOptions): string[] {
  const page = new Page(nowMs, { ...options, columns: Math.max(MIN_COLUMNS, options.columns) });
  const blocks = page.sessions(sessions, options.shape ?? 'blocks');
  if (options.shape === undefined && options.rows !== undefined && blocks.length > options.rows) return page.sessions(sessions, 'rows');
  return blocks;
}

class Page {
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
      for (const bricks of sentTwice(session.bricks)) lines.push(this.#line([['yellow', `  ${bricks.join(' and ')} hold the same files, and each sends them all: use-meta-volume lets one do it`]]));
      if (shape === 'rows') lines.push(...this.#table(session.bricks));
      else for (const brick of session.bricks) lines.push(...this.#block(brick));
    }
    return lines;
  }

  #title({ name, primary, secondary, monitor }: SessionReport): string {
    const pair = primary === null || secondary === null ? name : `${primary} ${this.#arrow} ${secondary}`;
    return this.#line([['bold', pair], monitor === null || monitor === '' ? '' : `   session: ${monitor}`, ['dim', `   ${clock(this.#nowMs / 1000, this.#nowMs)}`]]);
  }

  #block(report: BrickReport): string[] {
    const { charset } = this.#options;
    const { failures, lastError, firstSync, checkpoint, backlog, worker } = report;
    const lines = [this.#headline(report)];
    if (firstSync !== null) {
      const { synced, expected, state, fraction } = firstSync;
      const about = state === 'walking' ? (charset === 'ascii' ? '~' : '≈') : '';
      const of = expected === null ? `${count(synced)} entries, ${count(firstSync.seen)} found` : `${count(synced)} of ${about}${count(expected)} entries`;
      lines.push(this.#row('first sync', [of, fraction === null ? '' : `  ${bar(fraction, 20, charset)} ${Math.floor(fraction * 100)}%`, ['cyan', this.#eta(report)]]));
    }
    lines.push(this.#row('lag', this.#lag(report, firstSync === null ? this.#eta(report) : '')));
    const waiting = [
      ...(backlog.changelogs === null ? [] : [counted(backlog.changelogs, 'changelog')]),
      counted(backlog.entries, 'entry', 'entries'),
      ...(backlog.meta > 0 ? [counted(backlog.meta, 'attribute')] : []),
      counted(backlog.data, 'file'),
      ...(backlog.bytes === null || (backlog.bytes === 0 && backlog.data > 0) ? [] : [bytes(backlog.bytes)]),
    ];
    lines.push(this.#row('backlog', [waiting.join('  ')]));
    lines.push(this.#rates('entries', `${rate(report.rates.entries)}/s`, report.history.entries));
    lines.push(this.#rates('files', `${rate(report.rates.files)}/s`, report.history.files));
    lines.push(this.#rates('bytes', `${bytes(report.rates.bytes)}/s`, report.history.bytes));
    const { transfers } = report;
    if (transfers !== null && transfers.busy > 0) {
      lines.push(this.#row('transfers', [`${transfers.busy} of ${transfers.total} running`, transfers.longest === null ? '' : `, the longest for ${span(transfers.longest)}`]));
    }
    if (checkpoint !== null) {
      const done = checkpoint.completed ? `completed${checkpoint.completionTime === null ? '' : ` ${clock(checkpoint.completionTime, this.#nowMs)}`}` : 'reached, waiting for failures to be synced';
      lines.push(this.#row('checkpoint', [`${clock(checkpoint.time, this.#nowMs)}  ${done}`]));
    }
    if (failures.count > 0) lines.push(...this.#failures(report));
    if (worker !== null && worker.restarts > 0) lines.push(this.#row('restarts', [['yellow', count(worker.restarts)], `  last start ${clock(worker.started, this.#nowMs)}`]));
    if (lastError !== null) lines.push(this.#row('last error', [['red', lastError]]));
    return lines;
  }

  #headline({ brick, state, crawl, secondaryNode }: BrickReport): string {
    const about = `${crawl === 'N/A' ? '' : `  ${crawl}`}${secondaryNode === null ? '' : `  ${this.#arrow} ${secondaryNode}`}`;
    const room = this.#options.columns - widthOf(state) - 2;
    const name = cut(plain(brick, this.#options.charset), Math.max(10, room - Math.min(widthOf(about), 32)), this.#options.charset);
    return this.#line([['bold', name], '  ', [stateColour(state), state], about]);
  }

  #lag({ lag, lastSynced, pending, state, firstSync }: BrickReport, eta: string): Piece[] {
    const at: Piece = lastSynced === null ? '' : ['dim', `   synced up to ${clock(lastSynced, this.#nowMs)}`];
    if (state === 'Passive') return ['passive: another brick of its replica set is active', at];
    if (lag === null) return [firstSync === null ? 'unknown: never synced' : 'none yet: first sync not finished', at];
    if (lag === 0 && pending === 'no') return [['green', '0s'], '  nothing is pending', at];
    return [[lag > 300 ? 'red' : lag > 60 ? 'yellow' : 'green', span(lag)], pending === 'unknown' ? '  at most' : '', ['cyan', eta], at];
  }

  #eta({ eta, pending }: BrickReport): string {
    if (pending !== 'yes') return '';
    return eta === null ? '' : `  ETA ${span(eta)}`;
  }

  #rates(label: string, now: string, history: readonly number[]): string {
    const room = Math.max(0, Math.min(history.length, this.#options.columns - LABEL_COLUMNS - 16 - 3));
    return this.#row(label, [pad(now, 14, this.#options.charset), ' ', ['cyan', sparkline(history.slice(history.length - room), this.#options.charset)]]);
  }

  #failures({ failures }: BrickReport): string[] {
    const { reasons = [], byKind } = failures;
    const kinds = byKind === undefined ? '' : Object.entries(byKind).filter(([, n]) => n > 0).map(([kind, n]) => `${count(n)} ${kind}`).join(', ');
    const lines = [this.#row('failures', [['red', count(failures.count)], kinds === '' ? '' : `  (${kinds})`])];
    for (const { reason, count: n, example } of reasons.slice(0, MAX_REASONS)) {
      lines.push(this.#row('', [`${count(n)} x ${reason}`]), this.#row('', [['dim', `  e.g. ${example}`]]));
    }
    if (reasons.length > MAX_REASONS) lines.push(this.#row('', [['dim', `and ${reasons.length - MAX_REASONS} other reasons`]]));
    return lines;
  }

  #table(bricks: readonly BrickReport[]): string[] {
    const { charset, columns } = this.#options;
    const name = Math.max(8, columns - 69);
    const cells = (values: readonly string[]): string => {
      const [first = '', state = '', ...rest] = values;
      return `${pad(plain(first, charset), name, charset)} ${pad(state, 15, charset)} ${rest.map((value, i) => pad(value, [8, 6, 9, 8, 11, 5][i] ?? 8, charset, 'right')).join(' ')}`;
    };
    const lines = bricks.map((b): string => {
      const lag = b.lag === null ? '-' : span(b.lag);
      const backlog = b.backlog.changelogs === null ? '-' : count(b.backlog.changelogs);
      const eta = b.firstSync?.fraction === null || b.firstSync === null ? count(b.backlog.data) : `${Math.floor(b.firstSync.fraction * 100)}%`;
      const row = cells([b.brick, b.state, lag, backlog, eta, rate(b.rates.files), bytes(b.rates.bytes), count(b.failures.count)]);
      return this.#line([[b.failures.count > 0 ? 'red' : stateColour(b.state), row]]);
    });
    return [this.#line([['dim', cells(['brick', 'state', 'lag', 'jrnls', 'to send', 'files/s', 'bytes/s', 'fail'])]]), ...lines];
  }

  #row(label: string, pieces: readonly Piece[]): string {
    return this.#line([['dim', `  ${pad(label, LABEL_COLUMNS, this.#options.charset)}`], ...pieces]);
  }

  /** Joins pieces to a line: makes them safe, cuts them to the width, and then colours them. */
  #line(pieces: readonly Piece[]): string {
    const { columns, charset, colours } = this.#options;
    let room = columns;
    let out = '';
    for (const piece of pieces) {
      const [colour, raw] = typeof piece === 'string' ? [null, piece] : piece;
      const text = cut(plain(raw, charset), room, charset);
      room -= widthOf(text);
      out += colour === null || colours === 'off' || text === '' ? text : `\u001b[${SGR[colour]}m${text}\u001b[0m`;
      if (room <= 0) break;
    }
    return colours === 'off' ? out.trimEnd() : out;
  }

  get #arrow(): string {
    return this.#options.charset === 'ascii' ? '->' : '→';
  }
}

/** Bricks of sets in which more than one brick is active. Workers of one node share its uuid, so the uuid cannot
 *  decide whose turn it is. */
function sentTwice(bricks: readonly BrickReport[]): string[][] {
  const active = bricks.filter(({ state, set }) => state === 'Active' && set !== null);
  const sets = new Set(active.map(({ set }) => set));
  return [...sets].map((wanted) => active.filter(({ set }) => set === wanted).map(({ brick }) => brick)).filter((same) => same.length > 1);
}

function counted(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

function stateColour(state: BrickReport['state']): Colour {
  if (state === 'Active') return 'green';
  if (state === 'Faulty') return 'red';
  return state === 'Passive' ? 'cyan' : 'yellow';
}
