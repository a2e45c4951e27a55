// Text in pickles. Python writes str as UTF-8 with lone surrogates kept ("surrogatepass"); the UTF-8 codec of Node would
// replace them. Protocol 0 writes escapes. Invariant: invalid text raises GsyncdError('peer') and is never replaced.

import { GsyncdError } from '../errors.js';

const REPLACEMENT = '\uFFFD';
const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Error for an invalid pickle, on one line. Never retry on the same stream. */
export function pickleError(state: string, cause?: unknown): GsyncdError {
  return new GsyncdError(`decode pickle: ${state}`, { code: 'peer', cause });
}

/** Encodes UTF-8, with a lone surrogate as the three bytes of its code point. */
export function encodeSurrogatePass(text: string): Buffer {
  if (text.isWellFormed()) return Buffer.from(text, 'utf8');
  const parts: Buffer[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.codePointAt(i) ?? 0;
    if (code > 0xffff) i += 1;
    else if (code >= 0xd800 && code <= 0xdfff) {
      if (i > start) parts.push(Buffer.from(text.slice(start, i), 'utf8'));
      parts.push(Buffer.of(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)));
      start = i + 1;
    }
  }
  if (start < text.length) parts.push(Buffer.from(text.slice(start), 'utf8'));
  return Buffer.concat(parts);
}

/** Inverse of encodeSurrogatePass() for `bytes[start, end)`. @throws GsyncdError 'peer' for invalid text */
export function decodeSurrogatePass(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('utf8', start, end);
  return text.includes(REPLACEMENT) ? decodeWithSurrogates(bytes.subarray(start, end)) : text;
}

function decodeWithSurrogates(bytes: Buffer): string {
  let text = '';
  let start = 0;
  try {
    // 0xED occurs only as the first byte of a sequence, so this search cannot match inside another one.
    for (let i = bytes.indexOf(0xed); i >= 0; i = bytes.indexOf(0xed, i + 1)) {
      const second = bytes[i + 1] ?? 0;
      const third = bytes[i + 2] ?? 0;
      if (second < 0xa0 || second > 0xbf || third < 0x80 || third > 0xbf) continue;
      text += STRICT.decode(bytes.subarray(start, i));
      text += String.fromCharCode(0xd000 | ((second & 0x3f) << 6) | (third & 0x3f));
      start = i + 3;
    }
    return text + STRICT.decode(bytes.subarray(start));
  } catch (cause) {
    throw pickleError('str: not UTF-8', cause);
  }
}

const RAW_UNICODE = /\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g;

/** Decodes a UNICODE line of protocol 0: Latin-1 with `\uXXXX` and `\UXXXXXXXX`. @throws GsyncdError 'peer' */
export function decodeRawUnicode(line: string): string {
  return line.replaceAll(RAW_UNICODE, (_match, short: string | undefined, long: string | undefined) => {
    const code = Number.parseInt(short ?? long ?? '', 16);
    if (code > 0x10ffff) throw pickleError('str: escape beyond U+10FFFF');
    return String.fromCodePoint(code);
  });
}

const SIMPLE_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\\', '\\'],
  ["'", "'"],
  ['"', '"'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

/** Decodes a STRING line of protocol 0: a Python 2 `repr` of bytes. @throws GsyncdError 'peer' */
export function decodeQuoted(line: string): Buffer {
  const quote = line.charAt(0);
  if (line.length < 2 || (quote !== "'" && quote !== '"') || !line.endsWith(quote))
    throw pickleError('string: not quoted');
  const body = line
    .slice(1, -1)
    .replaceAll(/\\(?:x([0-9a-fA-F]{2})|(.?))/gs, (_match, hex: string | undefined, simple: string | undefined) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      const char = SIMPLE_ESCAPES.get(simple ?? '');
      if (char === undefined) throw pickleError('string: unknown escape');
      return char;
    });
  return Buffer.from(body, 'latin1');
}
