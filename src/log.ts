// The daemon's log. pino filters by level; this file formats and writes. Each subsystem has a child log that names its
// module and class. Messages are constant; values are fields.
//
// Each line is one synchronous write to a file in append mode. So no line is lost at exit, and several processes can share
// a file. A failed write (disk full) never reaches the caller. The log counts the lost lines and logs their number when
// writing works again.

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

/** Module, function and class of a line. Where the stock daemon has such a part, its names are used. */
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
  /** flush(), then closes the file. Later lines are dropped. */
  close(): void;
}

export interface LogOptions {
  /** A file, whose directory is created when missing, or `-` for stderr. `/dev/stderr` and `/dev/stdout` work too. */
  readonly destination: string;
  readonly level: LogLevel;
  /** Which process this is: `worker /d/b1`. */
  readonly label: string;
}

const PINO_LEVELS: Readonly<Record<LogLevel, Level>> = {
  ERROR: 'error',
  WARNING: 'warn',
  INFO: 'info',
  DEBUG: 'debug',
};
const LEVEL_LETTERS: Readonly<Record<number, string>> = { 20: 'D', 30: 'I', 40: 'W', 50: 'E' };
/** How often a write checks whether the file at the path was renamed or removed. */
const FILE_CHECK_INTERVAL_MS = 1000;
/** How long a line waits for the reader of a full pipe. After a line was lost, the next lines do not wait. */
const PIPE_WAIT_MS = 1000;

/** @throws GsyncdError `preflight` when the log file cannot be opened */
export function createLogger(options: LogOptions): RootLog {
  const label = safeText(options.label === '' ? '' : `(${options.label})`);
  const sink = new LineSink(options.destination, label);
  const logger = pino({ level: PINO_LEVELS[options.level], base: null, timestamp: () => '' }, lineStream(sink));
  return {
    child: (origin) =>
      childLog(logger, `[${safeText(origin.module)}${label}:0:${origin.fn ?? '<module>'}] ${origin.ctx ?? '<top>'}: `),
    setLevel(level): void {
      logger.level = PINO_LEVELS[level];
    },
    reopen: () => sink.reopen(),
    flush: () => sink.reportLostLines(),
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

/** pino passes message and level to a stream that has its metadata symbol. The JSON text is not used. */
function lineStream(sink: LineSink): DestinationStream {
  const stream = {
    [Symbol.for('pino.metadata')]: true,
    lastMsg: '',
    lastLevel: 0,
    write(): void {
      sink.write(`[${formatTime(nowMicros())}] ${LEVEL_LETTERS[stream.lastLevel] ?? 'I'} ${stream.lastMsg}\n`);
    },
  };
  return stream;
}

/** A smaller step back comes from differences between the two clocks; a larger one means that the clock was set back. */
const CLOCK_STEP_MICROS = 1_000_000;

let anchorMs = Date.now();
let anchorMonotonicMs = performance.now();
let lastMicros = 0;

/** Wall-clock microseconds. While the two clocks agree, the monotonic clock supplies the digits below a millisecond. */
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

/** Creates a directory and its missing parents. Node's own recursive mkdir never returns under /proc. */
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
  #nextCheckMs = 0;
  #lostLines = 0;
  #hasPartialLine = false;

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
    this.#reopenIfReplaced();
    if (this.#writeAll(this.#lostLinesNotice() + line)) this.#lostLines = 0;
    else this.#lostLines += 1;
  }

  reportLostLines(): void {
    if (this.#lostLines > 0 && this.#writeAll(this.#lostLinesNotice())) this.#lostLines = 0;
  }

  /** A line with the number of lost lines; empty when there are none. */
  #lostLinesNotice(): string {
    if (this.#lostLines === 0) return '';
    const message = formatMessage('log lines lost', { count: this.#lostLines });
    return `[${formatTime(nowMicros())}] W [log${this.#label}:0:<module>] <top>: ${message}\n`;
  }

  reopen(): void {
    if (this.#path === undefined || this.#fd === undefined) return;
    try {
      this.#open(this.#path);
    } catch {
      // The open descriptor still accepts lines, and the next check of the path tries again.
      this.#fileId = '';
    }
  }

  close(): void {
    this.reportLostLines();
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

  #reopenIfReplaced(): void {
    if (this.#path === undefined) return;
    const nowMs = performance.now();
    if (nowMs < this.#nextCheckMs) return;
    this.#nextCheckMs = nowMs + FILE_CHECK_INTERVAL_MS;
    let fileId: string | undefined;
    try {
      const stat = statSync(fsEncode(this.#path), { throwIfNoEntry: false });
      fileId = stat && `${stat.dev}:${stat.ino}`;
    } catch {
      return;
    }
    if (fileId !== this.#fileId) this.reopen();
  }

  /** @returns whether the whole text was written. After a partial write, the next text starts on a new line. */
  #writeAll(text: string): boolean {
    if (this.#fd === undefined) return false;
    const bytes = Buffer.from(this.#hasPartialLine ? `\n${text}` : text, 'utf8');
    const deadlineMs = performance.now() + (this.#lostLines > 0 ? 0 : PIPE_WAIT_MS);
    let offset = 0;
    while (offset < bytes.length) {
      try {
        offset += writeSync(this.#fd, bytes, offset);
      } catch (error) {
        if (errnoCode(error) === 'EINTR') continue;
        if (errnoCode(error) !== 'EAGAIN' || performance.now() >= deadlineMs) {
          this.#hasPartialLine ||= offset > 0;
          return false;
        }
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      }
    }
    this.#hasPartialLine = false;
    return true;
  }
}
