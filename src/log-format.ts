// Formats log lines in GlusterFS's format, with the fields of the stock daemon's lf(), because existing tools parse it.
// Each call returns one line, even if values contain newlines or invalid bytes.

// Characters that could break a line or control a terminal: C0 and C1 controls, and surrogates without their other half.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f]|\p{Cs}/u;
const UNSAFE_ALL = new RegExp(UNSAFE.source, 'gu');
const NAMED_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Text without line breaks, control characters or lone surrogates: a byte that is not UTF-8 becomes `\xNN`. */
export function safeText(text: string): string {
  return UNSAFE.test(text) ? text.replaceAll(UNSAFE_ALL, escapeCharacter) : text;
}

function escapeCharacter(ch: string): string {
  const code = ch.charCodeAt(0);
  if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`;
  if (code >= 0x80) return `\\u${code.toString(16).padStart(4, '0')}`;
  return NAMED_ESCAPES[ch] ?? `\\x${code.toString(16).padStart(2, '0')}`;
}

/** `message [{a=1}, {b=(0, 0)}]`; the message alone when there are no fields. Fields that are undefined are left out. */
export function formatMessage(message: string, fields?: Readonly<Record<string, unknown>>): string {
  const parts: string[] = [];
  for (const key in fields) {
    const value = fields[key];
    if (value !== undefined) parts.push(`{${key}=${typeof value === 'string' ? value : pythonText(value, 0)}}`);
  }
  return safeText(parts.length === 0 ? message : `${message} [${parts.join(', ')}]`);
}

/** Deeper values, and so cycles, are cut to keep a log line short. */
const MAX_DEPTH = 6;

/** Formats a value as Python does: arrays as tuples, objects and maps as dicts, nested strings quoted. */
function pythonText(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'boolean':
      return value ? 'True' : 'False';
    case 'number':
    case 'bigint':
      return String(value);
    case 'object':
      return value === null ? 'None' : objectText(value, depth);
    case 'undefined':
      return 'None';
    case 'function':
    case 'symbol':
      return `<${typeof value}>`;
  }
}

function objectText(value: object, depth: number): string {
  if (value instanceof Error) return value.message;
  if (value instanceof Uint8Array) return `b'${Buffer.from(value).toString('hex')}'`;
  if (depth >= MAX_DEPTH) return '...';
  const inner = (item: unknown): string => pythonText(item, depth + 1);
  if (Array.isArray(value)) return value.length === 1 ? `(${inner(value[0])},)` : `(${value.map(inner).join(', ')})`;
  if (value instanceof Set) return inner([...value]);
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return `{${entries.map(([key, item]) => `${inner(key)}: ${inner(item)}`).join(', ')}}`;
}

function quoted(text: string): string {
  return text.includes("'") && !text.includes('"') ? `"${text}"` : `'${text.replaceAll("'", "\\'")}'`;
}

let cachedSecond = NaN;
let cachedPrefix = '';

/** `2026-11-23 05:30:21.493123`, UTC. `micros` is microseconds since 1970. */
export function formatTime(micros: number): string {
  const second = Math.floor(micros / 1_000_000);
  if (second !== cachedSecond) {
    cachedSecond = second;
    cachedPrefix = new Date(second * 1000).toISOString().slice(0, 19).replace('T', ' ');
  }
  return `${cachedPrefix}.${String(micros - second * 1_000_000).padStart(6, '0')}`;
}
