// Bounded views of a child's output: its last bytes for an error message, and its lines for a parser. Both need only
// constant memory.

import { fsDecode } from '../names.js';

/** Keeps the last `maxBytes` bytes of a stream. */
export class Tail {
  readonly #maxBytes: number;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(chunk: Buffer): void {
    const kept = chunk.length > this.#maxBytes ? Buffer.from(chunk.subarray(chunk.length - this.#maxBytes)) : chunk;
    this.#chunks.push(kept);
    this.#bytes += kept.length;
    for (let first = this.#chunks[0]; first && this.#bytes - first.length >= this.#maxBytes; first = this.#chunks[0]) {
      this.#chunks.shift();
      this.#bytes -= first.length;
    }
  }

  /** The tail as text in the form of names.ts, trimmed. */
  text(): string {
    const all = Buffer.concat(this.#chunks);
    return fsDecode(all.subarray(Math.max(0, all.length - this.#maxBytes))).trim();
  }
}

/** Last lines of a child's output, for an error message: `a; b`. Skips a traceback's indented lines. */
export function lastLines(text: string, count = 3): string {
  const lines = text.split(/[\r\n]+/).filter((line) => line.trim() !== '' && !/^\s/.test(line));
  return lines
    .slice(-count)
    .map((line) => line.trim())
    .join('; ');
}

const NEWLINE = 10;

/** Splits a stream into lines without their newlines, in the form of names.ts. A longer line than `maxBytes` is cut to that
 *  length. */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  readonly #maxBytes: number;
  #partialLine: Buffer[] = [];
  #partialLineBytes = 0;

  constructor(onLine: (line: string) => void, maxBytes = 64 << 10) {
    this.#onLine = onLine;
    this.#maxBytes = maxBytes;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#keep(chunk.subarray(start, end));
      this.#emit();
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
  }

  /** Emits a last line that has no newline. */
  end(): void {
    if (this.#partialLineBytes > 0) this.#emit();
  }

  #keep(part: Buffer): void {
    const room = this.#maxBytes - this.#partialLineBytes;
    if (part.length === 0 || room <= 0) return;
    const kept = part.subarray(0, room);
    this.#partialLine.push(kept);
    this.#partialLineBytes += kept.length;
  }

  #emit(): void {
    const line =
      this.#partialLine.length === 1 && this.#partialLine[0] ? this.#partialLine[0] : Buffer.concat(this.#partialLine);
    this.#partialLine = [];
    this.#partialLineBytes = 0;
    this.#onLine(fsDecode(line));
  }
}
