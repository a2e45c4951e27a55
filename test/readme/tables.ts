// The tables that are made from tables of the program, and the documents that hold them. readme.test.ts checks them, and
// writes them when it is run as `npm run readme`.

import { METRICS } from '../../src/metrics/names.js';
import { OPTION_NAMES, optionSpec, type OptionSpec } from '../../src/config/options.js';

export const TABLES: Readonly<Record<string, readonly [name: string, table: () => string]>> = {
  'src/config/README.md': ['options', optionTable],
  'src/metrics/README.md': ['metrics', metricTable],
};

/** The text of a document with its table as it must be. @throws Error when there is no place between two markers */
export function withTable(text: string, document: string): string {
  const [name, table] = TABLES[document]!;
  const [before, , after] = between(text, name);
  return `${before}\n${table()}\n${after}`;
}

/** What is before, in, and after a table, markers outside. */
function between(text: string, name: string): [string, string, string] {
  const [start, end] = [`<!-- ${name}: made by npm run readme -->`, `<!-- end of ${name} -->`];
  const [from, to] = [text.indexOf(start) + start.length, text.indexOf(end)];
  if (from < start.length || to < from) throw new Error(`no markers of the table ${name}`);
  return [text.slice(0, from), text.slice(from, to), text.slice(to)];
}

function optionTable(): string {
  const rows = OPTION_NAMES.map((name) => {
    const spec = optionSpec(name);
    const change = spec.configurable === false ? 'not by `config`' : spec.reload === 'live' ? 'at once' : 'restart';
    return [`\`${name}\``, spec.value === '' ? '' : `\`${spec.value}\``, values(spec), change, spec.help];
  });
  return table(['option', 'default', 'values', 'a change takes', 'meaning'], rows);
}

function values(spec: OptionSpec): string {
  switch (spec.type) {
    case 'bool':
      return 'true, false';
    case 'choice':
      return spec.allowed.map((value) => (value === '' ? 'empty' : value)).join(', ');
    case 'int':
      if ('validation' in spec) return 'Unix time';
      return spec.max === undefined ? `${spec.min} or more` : `${spec.min} to ${spec.max}`;
    case 'string':
      return spec.validation === 'path' ? 'path' : spec.validation === 'execpath' ? 'program' : 'text';
  }
}

function metricTable(): string {
  const rows = Object.values(METRICS).map(({ name, type, label, help }) => [`\`${name}\``, type, label ?? '', help]);
  return table(['metric', 'type', 'further label', 'meaning'], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}
