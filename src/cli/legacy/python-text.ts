// Values as the stock daemon prints them, with Python's str() and json.dumps().

/** Python's str() of a value that came from JSON or a configuration file. */
export function pythonText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (value === null || value === undefined) return 'None';
  return typeof value === 'number' ? String(value) : JSON.stringify(value);
}

/** Python's json.dumps() of an object, or a list of objects, of texts and booleans: ASCII, with spaces. */
export function pythonJson(value: readonly object[] | object): string {
  if (Array.isArray(value)) return `[${value.map((item: object) => pythonJson(item)).join(', ')}]`;
  const members = Object.entries(value).map(
    ([key, item]) => `${jsonAscii(key)}: ${typeof item === 'string' ? jsonAscii(item) : JSON.stringify(item)}`,
  );
  return `{${members.join(', ')}}`;
}

function jsonAscii(text: string): string {
  return JSON.stringify(text).replaceAll(/[\u007f-\uffff]/g, (ch) =>
    ch === '\u007f' ? ch : `\\u${ch.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
