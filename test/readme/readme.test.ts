// The README tells the truth about what can be told from the program: its tables, its links, its commands.

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { expect, it } from 'vitest';
import { readProgram } from '../../src/cli/command-tree.js';
import { addCommands } from '../../src/cli/commands.js';
import { withTables } from './tables.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const file = `${root}README.md`;
const text = readFileSync(file, 'utf8');
const { scripts } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { scripts: Record<string, string> };

it('has the tables of options and metrics as they are (npm run readme writes them)', async () => {
  await expect(withTables(text)).toMatchFileSnapshot(file);
});

it('names files, directories and pictures that are there', () => {
  const named = [
    ...[...text.matchAll(/\]\((?!https?:|#)([^)\s]+)\)/g)].map(([, path]) => path!),
    ...[...text.matchAll(/<img [^>]*src="([^"]+)"/g)].map(([, path]) => path!),
    ...[...text.matchAll(/`((?:src|test|bin)\/[\w./-]*\w)`/g)].map(([, path]) => path!),
  ];
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((path) => !existsSync(`${root}${path}`))).toEqual([]);
});

it('names tests in SECURITY.md that are there', () => {
  const named = [...readFileSync(`${root}.github/SECURITY.md`, 'utf8').matchAll(/`(test\/[\w./-]*\w)`/g)].map(([, path]) => path!);
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((path) => !existsSync(`${root}${path}`))).toEqual([]);
});

it('links to headings that are there', () => {
  const anchors = [...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) => title!.toLowerCase().replaceAll(/[^\w -]/g, '').replaceAll(' ', '-'));
  const wanted = [...text.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor!);
  expect(wanted.filter((anchor) => !anchors.includes(anchor))).toEqual([]);
});

it('uses commands, options and npm scripts that there are', async () => {
  const program = new Command('gsyncd-ts').version('gsyncd-ts 1', '-V');
  await addCommands(program, []);
  const commands = new Map(readProgram(program).commands.map((command) => [command.name, command.options.map((option) => option.long)]));
  const uses = [...text.matchAll(/gsyncd-ts(?:\.js)? ([a-z][\w-]*)((?: [^\n`|>]*)?)/g)].map(([, name, rest]) => ({ name: name!, rest: rest! }));
  const commandUses = uses.filter(({ name }) => commands.has(name));
  expect(commandUses.length).toBeGreaterThan(8);
  for (const { name, rest } of commandUses) {
    for (const [option] of rest.matchAll(/(?<=\s)--[a-z][\w-]*/g)) expect(commands.get(name), `${name} ${option}`).toContain(option);
  }
  const used = [...text.matchAll(/npm (?:run ([\w:]+)|(start|test)\b)/g)].map(([, script, short]) => (script ?? short)!);
  expect(used.length).toBeGreaterThan(4);
  for (const name of used) expect(Object.keys(scripts), `npm run ${name}`).toContain(name);
});
