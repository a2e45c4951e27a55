// Numbers as people read them: counts with separators, bytes in powers of 1024, spans in two units. Pure.

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** A rate, with one decimal if it is small. */
export function formatRate(value: number): string {
  return value > 0 && value < 9.95 ? value.toFixed(1) : formatCount(value);
}

export function formatBytes(value: number): string {
  let unit = 0;
  let scaled = Math.max(0, value);
  while (scaled >= 1023.5 && unit < BYTE_UNITS.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  return `${unit === 0 || scaled >= 99.95 ? Math.round(scaled) : scaled.toFixed(1)} ${BYTE_UNITS[unit] ?? ''}`;
}

/** `12s`, `3m 05s`, `2h 10m`, `4d 03h`. */
export function formatSpan(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${twoDigits(s % 60)}s`;
  if (s < 86_400) return `${Math.floor(s / 3600)}h ${twoDigits(Math.floor((s % 3600) / 60))}m`;
  return `${Math.floor(s / 86_400)}d ${twoDigits(Math.floor((s % 86_400) / 3600))}h`;
}

/** Local time of day, with the date unless it is today's. */
export function formatClock(seconds: number, nowMs: number): string {
  const time = new Date(seconds * 1000);
  const day = `${time.getFullYear()}-${twoDigits(time.getMonth() + 1)}-${twoDigits(time.getDate())}`;
  const ofDay = `${twoDigits(time.getHours())}:${twoDigits(time.getMinutes())}:${twoDigits(time.getSeconds())}`;
  return new Date(nowMs).toDateString() === time.toDateString() ? ofDay : `${day} ${ofDay}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
