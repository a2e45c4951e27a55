// The daemon's log: pino decides what is written, this file how and where. Every subsystem has a child that names
// its module and class; messages are constant, values are fields. Used by everything that runs.
//
// Each line is one synchronous write to a file in append mode: no line is lost at exit, and several processes may
// share a file. A write that fails (a full disk) never reaches the caller: the lines are counted, and the count is
// logged when writing works again.

import { closeSync, fstatSync, mkdirSync, statSync, writeSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { pino } from 'pino';
import type { DestinationStream, Level, Logger } from 'pino';
import { GsyncdError, errnoCode, errorLine } from './errors.js';
import { formatMessage, formatTime, safeText } from './log-format.js';
import { fsEncode } from './names.js';
import { openLog } from './native/open-log.js';

/** Levels as gsyncd.conf spells them. */
export type LogLevel = 'ERROR' | 'WARNING' | 'INFO' | 'DEBUG';

type Fields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
}

/** What stands between the brackets and after them; the names of the stock daemon where it has such a part. */
export interface LogOrigin {
  readonly module: string;
  /** Name of the function or activity. Default `<module>`. */
  readonly fn?: string;
  /** Name of the class. Default `<top>`. */
  readonly ctx?: string;
}

export interface RootLog {
  child(origin: LogOrigin): Log;
  setLevel(level: LogLevel): void;
  /** Reopens the file after a rotation. When that fails, the old one stays in use. */
  reopen(): void;
  /** Call before the process ends: reports lines that could not be written, if there are any. */
  flush(): void;
  /** flush(), then closes the file; what is logged afterwards is dropped. */
  close(): void;
}

export interface LogOptions {
  /** A file, whose directory is created when missing, or `-` for stderr. `/dev/stderr` and `/dev/stdout` work too. */
  readonly destination: string;
  readonly level: LogLevel;
  /** Which process this is: `worker /d/b1`. */
  readonly label: string;
}

const PINO_LEVELS: Readonly<Record<LogLevel, Level>> = { ERROR: 'error', WARNING: 'warn', INFO: 'info', DEBUG: 'debug' };
const LETTERS: Readonly<Record<number, string>> = { 20: 'D', 30: 'I', 40: 'W', 50: 'E' };
/** How often a write looks whether the file was renamed or removed under it. */
const WATCH_INTERVAL_MS = 1000;
/** How long a line waits for the reader of a full pipe. Once lines were lost, the next ones do not wait. */
const PIPE_PATIENCE_MS = 1000;

/** @throws GsyncdError `config` when the log file cannot be opened. */
export function createLogger(options: LogOptions): RootLog {
  const label = safeText(options.label === '' ? '' : `(${options.label})`);
  const sink = new LineSink(options.destination, label);
  const logger = pino({ level: PINO_LEVELS[options.level], base: null, timestamp: () => '' }, lineStream(sink));
  return {
    child: (origin) => childLog(logger, `[${safeText(origin.module)}${label}:0:${origin.fn ?? '<module>'}] ${origin.ctx ?? '<top>'}: `),
    setLevel(level): void {
      logger.level = PINO_LEVELS[level];
    },
    reopen: () => sink.reopen(),
    flush: () => sink.reportLost(),
    close: () => sink.close(),
  };
}

function childLog(logger: Logger, prefix: string): Log {
  const write = (level: Level, message: string, fields?: Fields): void => {
    if (logger.isLevelEnabled(level)) logger[level](prefix + formatMessage(message, fields));
  };
  return {
    debug: (message, fields) => write('debug', message, fields),
    info: (message, fields) => write('info', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    error: (message, fields) => write('error', message, fields),
  };
}

/** A stream with pino's metadata symbol is handed message and level beside the JSON, which is not wanted here. */
function lineStream(sink: LineSink): DestinationStream {
  const stream = {
    [Symbol.for('pino.metadata')]: true,
    lastMsg: '',
    lastLevel: 0,
    write(): void {
      sink.write(`[${formatTime(nowMicros())}] ${LETTERS[stream.lastLevel] ?? 'I'} ${stream.lastMsg}\n`);
    },
  };
  return stream;
}

/** Smaller steps back than this are the two clocks' disagreement, not a clock that was set. */
const CLOCK_STEP_MICROS = 1_000_000;

let anchorMs = Date.now();
let anchorMonotonicMs = performance.now();
let lastMicros = 0;

/** Wall-clock microseconds: the monotonic clock gives the digits below Date.now()'s, as long as the two agree. */
function nowMicros(): number {
  const wallMs = Date.now();
  let preciseMs = anchorMs + performance.now() - anchorMonotonicMs;
  if (preciseMs < wallMs || preciseMs >= wallMs + 1) {
    anchorMs = wallMs;
    anchorMonotonicMs = performance.now();
    preciseMs = wallMs;
  }
  const micros = Math.floor(preciseMs * 1000);
  if (micros > lastMicros || lastMicros - micros > CLOCK_STEP_MICROS) lastMicros = micros;
  return lastMicros;
}

/** Creates a directory and what is missing above it. Node's own recursive mkdir never returns under /proc. */
function makeDirectory(path: string): void {
  if (statSync(fsEncode(path), { throwIfNoEntry: false }) !== undefined) return;
  if (dirname(path) !== path) makeDirectory(dirname(path));
  try {
    mkdirSync(fsEncode(path));
  } catch (error) {
    if (errnoCode(error) !== 'EEXIST') throw error;
  }
}

class LineSink {
  readonly #path: string | undefined;
  readonly #label: string;
  #fd: number | undefined;
  #fileId = '';
  #nextWatchMs = 0;
  #lost = 0;
  #torn = false;

  constructor(destination: string, label: string) {
    this.#label = label;
    if (destination === '-' || destination === '/dev/stderr') this.#fd = 2;
    else if (destination === '/dev/stdout') this.#fd = 1;
    else {
      this.#path = resolve(destination);
      try {
        this.#open(this.#path);
      } catch (error) {
        const state = errnoCode(error) ?? errorLine(error);
        throw new GsyncdError(`log: ${destination}: cannot be opened: ${state}`, { code: 'preflight', cause: error });
      }
    }
  }

  write(line: string): void {
    if (this.#fd === undefined) return;
    this.#watch();
    if (this.#writeAll(this.#notice() + line)) this.#lost = 0;
    else this.#lost += 1;
  }

  reportLost(): void {
    if (this.#lost > 0 && this.#writeAll(this.#notice())) this.#lost = 0;
  }

  /** The line that tells of lost ones; empty when there are none. */
  #notice(): string {
    if (this.#lost === 0) return '';
    const message = formatMessage('log lines lost', { count: this.#lost });
    return `[${formatTime(nowMicros())}] W [log${this.#label}:0:<module>] <top>: ${message}\n`;
  }

  reopen(): void {
    if (this.#path === undefined || this.#fd === undefined) return;
    try {
      this.#open(this.#path);
    } catch {
      // The descriptor that is open still takes lines, and the next look at the path tries again.
      this.#fileId = '';
    }
  }

  close(): void {
    this.reportLost();
    if (this.#path !== undefined && this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #open(path: string): void {
    makeDirectory(dirname(path));
    const fd = openLog(path, 0o644);
    const stat = fstatSync(fd);
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = fd;
    this.#fileId = `${stat.dev}:${stat.ino}`;
  }

  #watch(): void {
    if (this.#path === undefined) return;
    const nowMs = performance.now();
    if (nowMs < this.#nextWatchMs) return;
    this.#nextWatchMs = nowMs + WATCH_INTERVAL_MS;
    let fileId: string | undefined;
    try {
      const stat = statSync(fsEncode(this.#path), { throwIfNoEntry: false });
      fileId = stat && `${stat.dev}:${stat.ino}`;
    } catch {
      return;
    }
    if (fileId !== this.#fileId) this.reopen();
  }

  /** Whether the whole text was written. After one that was cut, the next begins on a line of its own. */
  #writeAll(text: string): boolean {
    if (this.#fd === undefined) return false;
    const bytes = Buffer.from(this.#torn ? `\n${text}` : text, 'utf8');
    const deadlineMs = performance.now() + (this.#lost > 0 ? 0 : PIPE_PATIENCE_MS);
    let offset = 0;
    while (offset < bytes.length) {
      try {
        offset += writeSync(this.#fd, bytes, offset);
      } catch (error) {
        if (errnoCode(error) === 'EINTR') continue;
        if (errnoCode(error) !== 'EAGAIN' || performance.now() >= deadlineMs) {
          this.#torn ||= offset > 0;
          return false;
        }
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      }
    }
    this.#torn = false;
    return true;
  }
}
