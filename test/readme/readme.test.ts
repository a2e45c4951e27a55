// Checks the documents against the program: tables, links, commands and npm scripts.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { readProgram } from '../../src/cli/docs/command-tree.js';
import { addCommands } from '../../src/cli/commands.js';
import { TABLES, withTable } from './tables.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { scripts, version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
  scripts: Record<string, string>;
  version: string;
};
const DOCUMENTS = [
  'README.md',
  ...['test', '.github', 'src'].flatMap((directory) => {
    return readdirSync(`${root}${directory}`, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${directory}/${name}`);
  }),
];
const MOST_LINES = 200;

const read = (document: string): string => readFileSync(`${root}${document}`, 'utf8');
const anchors = (text: string): string[] =>
  [...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replaceAll(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );

it.each(Object.keys(TABLES))(
  '%s holds the table that the program generates (npm run readme writes it)',
  async (document) => {
    await expect(withTable(read(document), document)).toMatchFileSnapshot(`${root}${document}`);
  },
);

it('README.md does not exceed its maximum length', () => {
  expect(read('README.md').split('\n').length).toBeLessThanOrEqual(MOST_LINES);
});

describe.each(DOCUMENTS)('%s', (document) => {
  const text = read(document);
  const here = path.dirname(`${root}${document}`);

  it('names only files, directories, pictures and headings that exist', () => {
    const links = [...text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, link]) => link!);
    for (const link of links) {
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? `${root}${document}` : path.join(here, file);
      expect(existsSync(target), link).toBe(true);
      if (anchor !== undefined) expect(anchors(readFileSync(target, 'utf8')), link).toContain(anchor);
    }
    const named = [...text.matchAll(/`((?:src|test|bin)\/[\w./-]*\w)`/g)].map(([, file]) => file!);
    expect(named.filter((file) => !existsSync(`${root}${file}`))).toEqual([]);
  });

  it('uses only commands, options and npm scripts that exist', async () => {
    const program = new Command('gsyncd-ts').version('gsyncd-ts 1', '-V');
    await addCommands(program, []);
    const commands = new Map(
      readProgram(program).commands.map((command) => [command.name, command.options.map((option) => option.long)]),
    );
    for (const [, name, rest] of text.matchAll(/gsyncd-ts(?:\.js)? ([a-z][\w-]*)((?: [^\n`|>]*)?)/g)) {
      if (!commands.has(name!)) continue;
      for (const [option] of rest!.matchAll(/(?<=\s)--[a-z][\w-]*/g))
        expect(commands.get(name!), `${name} ${option}`).toContain(option);
    }
    for (const [, script, short] of text.matchAll(/npm (?:run ([\w:]+)|(start|test)\b)/g))
      expect(Object.keys(scripts)).toContain(script ?? short);
  });
});

it('installs the package of this version, whose changes are listed', () => {
  expect(read('README.md')).toContain(`npm install -g gsyncd-ts-${version}.tgz`);
  expect(read('.github/CHANGELOG.md')).toContain(`\n## ${version}\n`);
});

it('the patterns above find commands in README.md and tests in SECURITY.md', () => {
  expect(
    [...read('README.md').matchAll(/gsyncd-ts(?:\.js)? (?:worker|monitor|install|top|metrics)/g)].length,
  ).toBeGreaterThan(8);
  expect([...read('.github/SECURITY.md').matchAll(/`test\/[\w./-]*\w`/g)].length).toBeGreaterThan(10);
});
