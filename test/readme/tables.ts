// Tables generated from the program's own, and the documents that hold them. readme.test.ts checks them; `npm run readme`
// writes them.

import { METRICS } from '../../src/metrics/names.js';
import { OPTION_NAMES, optionSpec, type OptionSpec } from '../../src/config/options.js';

export const TABLES: Readonly<Record<string, readonly [name: string, table: () => string]>> = {
  'src/config/README.md': ['options', optionTable],
  'src/metrics/README.md': ['metrics', metricTable],
};

/** @returns the document's text with the generated table. @throws Error when the markers are missing */
export function withTable(text: string, document: string): string {
  const [name, table] = TABLES[document]!;
  const [before, , after] = between(text, name);
  return `${before}\n${table()}\n${after}`;
}

/** @returns the text before, in and after the table. The markers belong to the outer parts. */
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
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}
