// File names are bytes. In memory they are JavaScript strings in the form that Python calls surrogateescape. Valid UTF-8
// decodes as usual; every other byte 0xNN becomes the lone surrogate U+DCNN. The mapping is lossless in both directions.
// Such a string can be a Map key, and the stock peer uses the same form on the wire. Bytes appear only at the edges:
// file-system calls, changelogs, pickles.

const REPLACEMENT = '\uFFFD';
const ESCAPED = /[\uDC80-\uDCFF]/;

/** Converts the bytes of a name to its string form. Never throws. */
export function fsDecode(bytes: Uint8Array): string {
  const buf = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buf.toString('utf8');
  return text.includes(REPLACEMENT) ? decodeSlow(buf) : text;
}

/** Converts the string form back to bytes: `fsEncode(fsDecode(b))` equals `b` for every `b`. */
export function fsEncode(name: string): Buffer {
  return ESCAPED.test(name) ? encodeSlow(name) : Buffer.from(name, 'utf8');
}

/** Removes trailing slashes, which shell completion adds. Volume info lists paths without them. */
export function withoutTrailingSlashes(path: string): string {
  return path.replace(/(?<=.)\/+$/, '');
}

/** Whether the name is valid UTF-8, which a stock secondary needs (it encodes strictly). */
export function isUtf8Name(name: string): boolean {
  return name.isWellFormed();
}

/** Length in bytes of the UTF-8 sequence at `i`, 0 when the byte there starts no valid sequence. */
function sequenceLength(buf: Buffer, i: number): number {
  const b0 = buf[i] ?? 0;
  if (b0 < 0x80) return 1;
  const cont = (k: number, low = 0x80, high = 0xbf): boolean => {
    const b = buf[i + k];
    return b !== undefined && b >= low && b <= high;
  };
  if (b0 >= 0xc2 && b0 <= 0xdf) return cont(1) ? 2 : 0;
  if (b0 >= 0xe0 && b0 <= 0xef) {
    const low = b0 === 0xe0 ? 0xa0 : 0x80;
    const high = b0 === 0xed ? 0x9f : 0xbf;
    return cont(1, low, high) && cont(2) ? 3 : 0;
  }
  if (b0 >= 0xf0 && b0 <= 0xf4) {
    const low = b0 === 0xf0 ? 0x90 : 0x80;
    const high = b0 === 0xf4 ? 0x8f : 0xbf;
    return cont(1, low, high) && cont(2) && cont(3) ? 4 : 0;
  }
  return 0;
}

function decodeSlow(buf: Buffer): string {
  let out = '';
  let start = 0;
  let i = 0;
  while (i < buf.length) {
    const len = sequenceLength(buf, i);
    if (len > 0) {
      i += len;
      continue;
    }
    out += buf.toString('utf8', start, i) + String.fromCharCode(0xdc00 + (buf[i] ?? 0));
    i += 1;
    start = i;
  }
  return out + buf.toString('utf8', start);
}

function encodeSlow(name: string): Buffer {
  const parts: Buffer[] = [];
  let plain = '';
  for (const ch of name) {
    const code = ch.codePointAt(0) ?? 0;
    if (code >= 0xdc80 && code <= 0xdcff) {
      if (plain !== '') parts.push(Buffer.from(plain, 'utf8'));
      plain = '';
      parts.push(Buffer.of(code - 0xdc00));
    } else plain += ch;
  }
  if (plain !== '') parts.push(Buffer.from(plain, 'utf8'));
  return Buffer.concat(parts);
}
