// Messages of a short command for the session's log, in the log's own format. A line is one append. If the file cannot
// be written, the line is lost and the command goes on. The daemons' logger (log.ts) takes longer to load than these
// commands take to run.

import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { formatMessage, formatTime, safeText } from '../log-format.js';
import { fsEncode } from '../names.js';

type Fields = Readonly<Record<string, unknown>>;
const RANKS: Readonly<Record<string, number>> = { DEBUG: 0, INFO: 1, WARNING: 2, ERROR: 3 };

export interface CommandLogOptions {
  /** A file, or `-` for stderr. */
  readonly destination: string;
  readonly level: string;
  /** Name of the command. */
  readonly label: string;
}

export class CommandLog {
  readonly #options: CommandLogOptions;

  constructor(options: CommandLogOptions) {
    this.#options = options;
  }

  debug(message: string, fields?: Fields): void {
    this.#write('DEBUG', message, fields);
  }

  info(message: string, fields?: Fields): void {
    this.#write('INFO', message, fields);
  }

  warn(message: string, fields?: Fields): void {
    this.#write('WARNING', message, fields);
  }

  #write(level: string, message: string, fields?: Fields): void {
    const { destination, level: minLevel, label } = this.#options;
    if ((RANKS[level] ?? 0) < (RANKS[minLevel] ?? 0)) return;
    const origin = `[subcmds(${safeText(label)}):0:subcmd_${label.replaceAll('-', '_')}] <top>`;
    const line = `[${formatTime(Date.now() * 1000)}] ${level[0] ?? 'I'} ${origin}: ${formatMessage(message, fields)}\n`;
    try {
      if (destination === '-') process.stderr.write(line);
      else {
        mkdirSync(fsEncode(dirname(destination)), { recursive: true });
        appendFileSync(fsEncode(destination), line);
      }
    } catch {
      // A failure of the log does not change the command's result.
    }
  }
}
