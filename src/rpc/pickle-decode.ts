// Incremental pickle decoder for a stream. Pickles follow each other without a length, so only decoding one finds its end.
// Invariant: no code from a pickle is run (see pickle-globals.ts), and the limits bound memory.

import { isGsyncdError, type GsyncdError } from '../errors.js';
import { DEFAULT_LIMITS, type PickleLimits } from './pickle-limits.js';
import { PickleMachine } from './pickle-machine.js';
import { COUNTED, LAYOUT, LINES, UNKNOWN } from './pickle-opcodes.js';
import { pickleError } from './pickle-text.js';
import type { PyValue } from './pickle-values.js';

const NEWLINE = 0x0a;
const MAX_PARTS = 4096;
const EMPTY = Buffer.alloc(0);

export class PickleDecoder {
  readonly #machine: PickleMachine;
  readonly #maxBytes: number;
  #buffer: Buffer = EMPTY;
  #pos = 0;
  #parts: Buffer[] = [];
  #partsBytes = 0;
  /** Number of bytes that the current opcode needs; with `#needsLine`, they must include a newline. */
  #needed = 1;
  #needsLine = false;
  /** Bytes of the current pickle that were consumed before `#pos`. */
  #consumed = 0;
  #failure: GsyncdError | undefined;

  constructor(limits: Partial<PickleLimits> = {}) {
    const all = { ...DEFAULT_LIMITS, ...limits };
    this.#maxBytes = all.maxBytes;
    this.#machine = new PickleMachine(all);
  }

  /** Whether the stream may end here: no pickle is incomplete. */
  get isIdle(): boolean {
    return (
      this.#failure === undefined && this.#consumed === 0 && this.#partsBytes === 0 && this.#pos === this.#buffer.length
    );
  }

  /**
   * Takes the next bytes of the stream and yields every value that they complete, in order. Iterate it to the end. Chunks
   * may be cut anywhere.
   * @throws GsyncdError 'peer' for bytes that are not a pickle, forbidden globals, and exceeded limits. Every later call
   * throws it again
   */
  *feed(chunk: Uint8Array): Generator<PyValue, void, undefined> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      if (!this.#addChunk(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))) return;
      while (this.#decodeNext()) yield this.#machine.take();
    } catch (error) {
      this.#failure = isGsyncdError(error) ? error : pickleError('value: cannot be built', error);
      this.#buffer = EMPTY;
      throw this.#failure;
    }
  }

  /** Adds a chunk. Chunks are joined only when the current opcode is complete, so that long operands are copied once. */
  #addChunk(chunk: Buffer): boolean {
    if (this.#pos < this.#buffer.length) this.#addPart(this.#buffer.subarray(this.#pos));
    this.#buffer = EMPTY;
    this.#pos = 0;
    this.#addPart(chunk);
    if (this.#partsBytes < this.#needed || (this.#needsLine && !chunk.includes(NEWLINE))) {
      if (this.#needsLine) this.#checkSize(this.#partsBytes);
      return false;
    }
    const [only] = this.#parts;
    this.#buffer = this.#parts.length === 1 && only !== undefined ? only : Buffer.concat(this.#parts, this.#partsBytes);
    this.#parts = [];
    this.#partsBytes = 0;
    return true;
  }

  #addPart(part: Buffer): void {
    if (part.length === 0) return;
    this.#parts.push(part);
    this.#partsBytes += part.length;
    // A chunk of one byte needs about a hundred bytes of memory.
    if (this.#parts.length > MAX_PARTS) this.#parts = [Buffer.concat(this.#parts, this.#partsBytes)];
  }

  /** Executes opcodes up to the end of a pickle (true) or of the buffered bytes (false). */
  #decodeNext(): boolean {
    const buf = this.#buffer;
    while (this.#pos < buf.length) {
      const at = this.#pos;
      const op = buf[at] ?? 0;
      const layout = LAYOUT[op] ?? UNKNOWN;
      let start = at + 1;
      let end = start + layout;
      let next = end;
      if (layout === UNKNOWN) throw pickleError(`opcode 0x${op.toString(16)}: not allowed`);
      if ((layout & COUNTED) !== 0) {
        const size = layout & 0xf;
        start += size;
        if (start > buf.length) return this.#waitFor(start - at);
        end = start + lengthField(buf, at + 1, size);
        next = end;
        this.#checkSize(next - at);
      } else if ((layout & LINES) !== 0) {
        end = buf.indexOf(NEWLINE, start);
        if (end >= 0 && (layout & 0xf) === 2) end = buf.indexOf(NEWLINE, end + 1);
        if (end < 0) return this.#waitFor(buf.length - at + 1, true);
        next = end + 1;
      }
      if (next > buf.length) return this.#waitFor(next - at);
      this.#checkSize(next - at);
      this.#consumed += next - at;
      this.#pos = next;
      if (this.#machine.execute(op, buf, start, end)) {
        this.#consumed = 0;
        return true;
      }
    }
    return this.#waitFor(1);
  }

  #waitFor(needed: number, needsLine = false): false {
    this.#needed = needed;
    this.#needsLine = needsLine;
    if (needsLine) this.#checkSize(needed);
    return false;
  }

  #checkSize(bytes: number): void {
    if (this.#consumed + bytes > this.#maxBytes) throw pickleError(`value: larger than ${this.#maxBytes} bytes`);
  }
}

function lengthField(buf: Buffer, at: number, size: number): number {
  if (size === 1) return buf.readUInt8(at);
  if (size === 4) return buf.readUInt32LE(at);
  return Number(buf.readBigUInt64LE(at));
}
