// Splits a command line like Python's argparse.parse_known_args, as far as the old argument style needs it: options
// with one value (`--path X`, `--path=X`, `-cX`, unique prefixes of long names), flags, one list option, then
// positionals in order. Unknown arguments are left out. Pure.

export interface ArgumentSpec {
  readonly positionals?: readonly string[];
  /** Option strings. Each takes a value, and the last one given wins. */
  readonly options?: readonly string[];
  readonly flags?: readonly string[];
  /** An option that takes every following word. */
  readonly list?: string;
}

export interface ParsedArguments {
  /** Values by option string or positional name. */
  readonly values: ReadonlyMap<string, string>;
  readonly list: readonly string[];
  readonly flags: ReadonlySet<string>;
}

/** `problem` is the end of a sentence about the command line. argparse exits with 2 for it. */
export type ParseOutcome = ParsedArguments | { readonly problem: string };

type Word = { readonly kind: 'word'; readonly text: string };
type Option = { readonly kind: 'option'; readonly name: string | undefined; readonly value: string | undefined };

export function parseKnownArgs(spec: ArgumentSpec, args: readonly string[]): ParseOutcome {
  const names = [...(spec.options ?? []), ...(spec.flags ?? []), ...(spec.list === undefined ? [] : [spec.list])];
  const values = new Map<string, string>();
  const flags = new Set<string>();
  const list: string[] = [];
  const openPositionals = [...(spec.positionals ?? [])];
  const items: (Word | Option)[] = [];
  for (const [index, arg] of args.entries()) {
    if (arg === '--') {
      items.push(...args.slice(index + 1).map((text) => ({ kind: 'word', text }) as const));
      break;
    }
    const item = classify(names, arg);
    if ('problem' in item) return item;
    items.push(item);
  }
  for (let i = 0; i < items.length; i++) {
    const item = items[i];
    if (item === undefined) break;
    if (item.kind === 'word') {
      const name = openPositionals.shift();
      if (name !== undefined) values.set(name, item.text);
      continue;
    }
    if (item.name === undefined) continue;
    if (spec.flags?.includes(item.name) === true) {
      if (item.value !== undefined)
        return { problem: `argument ${item.name}: ignored explicit argument '${item.value}'` };
      flags.add(item.name);
      continue;
    }
    const words =
      item.value === undefined ? takeWords(items, i + 1, item.name === spec.list ? Infinity : 1) : [item.value];
    if (words.length === 0)
      return {
        problem: `argument ${item.name}: expected ${item.name === spec.list ? 'at least one' : 'one'} argument`,
      };
    if (item.value === undefined) i += words.length;
    if (item.name === spec.list) list.splice(0, list.length, ...words);
    else values.set(item.name, words[0] ?? '');
  }
  if (openPositionals.length > 0)
    return { problem: `the following arguments are required: ${openPositionals.join(', ')}` };
  return { values, list, flags };
}

function takeWords(items: readonly (Word | Option)[], from: number, maxCount: number): string[] {
  const words: string[] = [];
  for (const item of items.slice(from)) {
    if (item.kind !== 'word' || words.length >= maxCount) break;
    words.push(item.text);
  }
  return words;
}

function classify(names: readonly string[], arg: string): Word | Option | { readonly problem: string } {
  if (!arg.startsWith('-') || arg.length === 1) return { kind: 'word', text: arg };
  if (names.includes(arg)) return { kind: 'option', name: arg, value: undefined };
  const equals = arg.indexOf('=');
  const name = equals < 0 ? arg : arg.slice(0, equals);
  const value = equals < 0 ? undefined : arg.slice(equals + 1);
  if (value !== undefined && names.includes(name)) return { kind: 'option', name, value };
  const matches = arg.startsWith('--') ? names.filter((known) => known.startsWith(name)) : [];
  if (matches.length > 1) return { problem: `ambiguous option: ${arg} could match ${matches.join(', ')}` };
  if (matches.length === 1) return { kind: 'option', name: matches[0], value };
  const short = arg.slice(0, 2);
  if (!arg.startsWith('--') && names.includes(short)) return { kind: 'option', name: short, value: arg.slice(2) };
  if (/^-\d+$|^-\d*\.\d+$/.test(arg) || arg.includes(' ')) return { kind: 'word', text: arg };
  return { kind: 'option', name: undefined, value: undefined };
}
