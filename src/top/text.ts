// Text for a terminal. Control sequences in names, reasons or errors do not reach the terminal, and text is cut by its
// display columns. Two character sets: `unicode`, and `ascii` for terminals and pipes that support no other. Pure.

import { safeText } from '../log-format.js';

export type Charset = 'unicode' | 'ascii';

/** Invisible, direction-changing and unassigned characters. safeText escapes the control characters. */
const INVISIBLE = /[\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;
const NOT_ASCII = /[^\x20-\x7e]/gu;
const ZERO_WIDTH = /^[\p{Mn}\p{Me}\uFE00-\uFE0F]$/u;
const escapeCodePoint = (ch: string): string => `\\u{${(ch.codePointAt(0) ?? 0).toString(16)}}`;

/** One line that is safe to print. */
export function escapeForTerminal(text: string, charset: Charset): string {
  const safe = safeText(text).replaceAll(INVISIBLE, escapeCodePoint);
  return charset === 'ascii' ? safe.replaceAll(NOT_ASCII, escapeCodePoint) : safe;
}

/** Columns of a text without control characters. */
export function widthOf(text: string): number {
  let width = 0;
  for (const ch of text) width += charWidth(ch);
  return width;
}

function charWidth(ch: string): number {
  const code = ch.codePointAt(0) ?? 0;
  if (code < 0x300) return 1;
  if (ZERO_WIDTH.test(ch)) return 0;
  const wide =
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) ||
    (code >= 0x1f300 && code <= 0x1faff) ||
    (code >= 0x20000 && code <= 0x3fffd);
  return wide ? 2 : 1;
}

/** The text in at most `columns`, with a mark at the cut. */
export function truncate(text: string, columns: number, charset: Charset): string {
  if (widthOf(text) <= columns) return text;
  const ellipsis = charset === 'ascii' ? '...' : '…';
  let out = '';
  let width = widthOf(ellipsis);
  if (width > columns) return '.'.repeat(Math.max(0, columns));
  for (const ch of text) {
    width += charWidth(ch);
    if (width > columns) break;
    out += ch;
  }
  return out + ellipsis;
}

/** The text in exactly `columns`. */
export function padTo(text: string, columns: number, charset: Charset, side: 'left' | 'right' = 'left'): string {
  const fitting = truncate(text, columns, charset);
  const space = ' '.repeat(Math.max(0, columns - widthOf(fitting)));
  return side === 'left' ? fitting + space : space + fitting;
}

const LEVELS: Readonly<Record<Charset, readonly string[]>> = { unicode: [...'▁▂▃▄▅▆▇█'], ascii: [...'_.-:=+*#'] };

/** One character per value, scaled to the largest one. A value of 0 is a space. */
export function sparkline(values: readonly number[], charset: Charset): string {
  const levels = LEVELS[charset];
  const max = Math.max(...values, Number.MIN_VALUE);
  return values
    .map((value) =>
      value <= 0 ? ' ' : (levels[Math.min(levels.length - 1, Math.floor((value / max) * levels.length))] ?? ' '),
    )
    .join('');
}

export function bar(fraction: number, columns: number, charset: Charset): string {
  const [full, empty] = charset === 'ascii' ? ['#', '.'] : ['█', '░'];
  const filled = Math.round(Math.min(1, Math.max(0, fraction)) * columns);
  return full.repeat(filled) + empty.repeat(columns - filled);
}
