// The part of strftime that archive names need (option changelog-archive-format), in local time like Python's
// datetime.today().strftime(). An unknown directive stays as it is written.

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = 'January February March April May June July August September October November December'.split(' ');

export function strftime(format: string, date: Date): string {
  return format.replace(/%([A-Za-z%])/g, (written, directive: string) => expand(directive, date) ?? written);
}

function expand(directive: string, date: Date): string | undefined {
  const day = DAYS[date.getDay()] ?? '';
  const month = MONTHS[date.getMonth()] ?? '';
  const dayOfYear = Math.round(
    (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 1)) / 86_400_000,
  );
  const twoDigits = (value: number): string => String(value).padStart(2, '0');
  switch (directive) {
    case 'Y':
      return String(date.getFullYear());
    case 'y':
      return twoDigits(date.getFullYear() % 100);
    case 'm':
      return twoDigits(date.getMonth() + 1);
    case 'd':
      return twoDigits(date.getDate());
    case 'e':
      return String(date.getDate()).padStart(2, ' ');
    case 'H':
      return twoDigits(date.getHours());
    case 'I':
      return twoDigits(date.getHours() % 12 || 12);
    case 'M':
      return twoDigits(date.getMinutes());
    case 'S':
      return twoDigits(date.getSeconds());
    case 'p':
      return date.getHours() < 12 ? 'AM' : 'PM';
    case 'j':
      return String(dayOfYear + 1).padStart(3, '0');
    case 'U':
      return twoDigits(Math.floor((dayOfYear + 7 - date.getDay()) / 7));
    case 'W':
      return twoDigits(Math.floor((dayOfYear + 7 - ((date.getDay() + 6) % 7)) / 7));
    case 'u':
      return String(date.getDay() || 7);
    case 'w':
      return String(date.getDay());
    case 'a':
      return day.slice(0, 3);
    case 'A':
      return day;
    case 'b':
    case 'h':
      return month.slice(0, 3);
    case 'B':
      return month;
    case 's':
      return String(Math.floor(date.getTime() / 1000));
    case 'F':
      return strftime('%Y-%m-%d', date);
    case 'T':
      return strftime('%H:%M:%S', date);
    case '%':
      return '%';
    default:
      return undefined;
  }
}
