// Numbers as people read them: counts with separators, bytes in powers of 1024, spans in two units. Pure.

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** A rate, with one decimal if it is small. */
export function rate(value: number): string {
  return value > 0 && value < 9.95 ? value.toFixed(1) : count(value);
}

export function bytes(value: number): string {
  let unit = 0;
  let rest = Math.max(0, value);
  while (rest >= 1023.5 && unit < BYTE_UNITS.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${unit === 0 || rest >= 99.95 ? Math.round(rest) : rest.toFixed(1)} ${BYTE_UNITS[unit] ?? ''}`;
}

/** `12s`, `3m 05s`, `2h 10m`, `4d 03h`. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const two = (value: number): string => String(value).padStart(2, '0');
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${two(s % 60)}s`;
  if (s < 86_400) return `${Math.floor(s / 3600)}h ${two(Math.floor((s % 3600) / 60))}m`;
  return `${Math.floor(s / 86_400)}d ${two(Math.floor((s % 86_400) / 3600))}h`;
}

/** Local time of day, with the date unless it is today's. */
export function clock(seconds: number, nowMs: number): string {
  const time = new Date(seconds * 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  const ofDay = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  return new Date(nowMs).toDateString() === time.toDateString() ? ofDay : `${day} ${ofDay}`;
}
