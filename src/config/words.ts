// White space as Python's str methods define it. GlusterFS's own tools apply these methods to gsyncd.conf. Unlike
// JavaScript's, it includes U+001C to U+001F and U+0085, but not U+FEFF.

const SPACE_CLASS = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const LEADING = new RegExp(`^[${SPACE_CLASS}]+`);
const TRAILING = new RegExp(`(?<![${SPACE_CLASS}])[${SPACE_CLASS}]+$`);
const SPACE_RUN = new RegExp(`[${SPACE_CLASS}]+`);

/** Python's `str.strip()`. */
export function stripSpace(text: string): string {
  return stripSpaceEnd(isPrintable(text.charCodeAt(0)) ? text : text.replace(LEADING, ''));
}

/** Python's `str.rstrip()`. */
export function stripSpaceEnd(text: string): string {
  return isPrintable(text.charCodeAt(text.length - 1)) ? text : text.replace(TRAILING, '');
}

/** The white space that `text` begins with. */
export function leadingSpace(text: string): string {
  return isPrintable(text.charCodeAt(0)) ? '' : (LEADING.exec(text)?.[0] ?? '');
}

/** Most texts begin and end with such a character, so `status` saves the time of the regular expressions. */
function isPrintable(code: number): boolean {
  return code > 0x20 && code < 0x7f;
}

/**
 * Python's `str.split()`: turns `ssh-options`, `gluster-params` and the like into arguments. Like the stock daemon, it
 * knows no quoting.
 */
export function splitWords(text: string): string[] {
  const stripped = stripSpace(text);
  return stripped === '' ? [] : stripped.split(SPACE_RUN);
}
