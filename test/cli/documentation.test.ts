// Checks that help, manual page and completions cover every command, argument and option.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readProgram, type ProgramInfo } from '../../src/cli/docs/command-tree.js';
import { addCommands } from '../../src/cli/commands.js';
import { completionScript } from '../../src/cli/docs/completion-script.js';
import { manPage } from '../../src/cli/docs/man-page.js';
import { lacksProgram } from '../skip.js';

const dir = mkdtempSync(join(tmpdir(), 'documentation-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let program: ProgramInfo;
beforeAll(async () => {
  const real = new Command('gsyncd-ts').description('what it is').version('gsyncd-ts 1');
  await addCommands(real, []);
  program = readProgram(real);
});

/** A program whose texts contain characters that a shell or roff interprets. */
const HOSTILE: ProgramInfo = {
  name: 'gsyncd-ts',
  description: ".hidden it's \\fB [a:b]",
  options: [],
  commands: [
    {
      name: 'one',
      description: "it's $(touch /x) `x` [a:b]",
      usage: 'gsyncd-ts one [options]',
      arguments: [{ name: 'kind', description: "'dot", choices: ['red', 'blue'] }],
      options: [
        {
          flags: '--mode <mode>',
          short: undefined,
          long: '--mode',
          description: ".it's [x]: y",
          value: 'mode',
          choices: ['fast', 'slow'],
        },
        {
          flags: '-f, --file <path>',
          short: '-f',
          long: '--file',
          description: 'a \\ file',
          value: 'path',
          choices: [],
        },
      ],
      notes: '.Example:\n  one',
    },
  ],
};

describe('help', () => {
  it('every command has an example that starts with the program and the command', () => {
    for (const { name, notes } of program.commands)
      expect(notes, name).toMatch(new RegExp(`Examples?:\\n\\s+gsyncd-ts ${name}\\b`));
  });
});

describe('the manual page', () => {
  it('contains the usage, options and notes of every command', () => {
    const page = manPage(program, '1.2.3').replaceAll('\\-', '-').replaceAll('\\(dq', '"');
    for (const command of program.commands) {
      expect(page).toContain(`.SS ${command.usage}`);
      for (const option of command.options) expect(page).toContain(`.B ${option.flags}\n`);
      for (const line of command.notes.split('\n')) expect(page).toContain(line);
    }
  });

  it.skipIf(lacksProgram('mandoc', 'checks of the manual page'))(
    'passes mandoc -T lint and renders hostile text literally',
    () => {
      for (const [info, phrase] of [
        [program, 'gsyncd-ts worker'],
        [HOSTILE, ".hidden it's \\fB [a:b]"],
      ] as const) {
        const page = manPage(info, '1.2.3');
        const lint = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning'], { input: page, encoding: 'utf8' });
        expect(
          lint.stdout
            .split('\n')
            .filter((line) => line !== '' && !line.includes('missing date') && !line.includes('unable to check')),
        ).toEqual([]);
        const shown = spawnSync('mandoc', ['-T', 'ascii'], { input: page, encoding: 'utf8' }).stdout.replaceAll(
          /.\x08/g,
          '',
        );
        expect(shown.replaceAll(/\s+/g, ' ')).toContain(phrase);
      }
    },
  );
});

/** Completions that bash offers for the last of `words`. */
function bashOffers(info: ProgramInfo, words: readonly string[]): string[] {
  const script = join(dir, 'completion.bash');
  writeFileSync(script, completionScript(info, 'bash'));
  const run = `source ${script}; shift 0; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { echo "files"; }; _gsyncd_ts; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const done = spawnSync('bash', ['-c', run, 'bash', ...words], { encoding: 'utf8' });
  expect(done.stderr).toBe('');
  return done.stdout
    .split('\n')
    .filter((line) => line !== '')
    .sort();
}

describe('completion for bash', () => {
  it('offers commands, their options and values, and files', () => {
    expect(bashOffers(program, ['gsyncd-ts', 'wor'])).toEqual(['worker']);
    expect(bashOffers(program, ['gsyncd-ts', ''])).toEqual(
      expect.arrayContaining(program.commands.map(({ name }) => name)),
    );
    expect(bashOffers(program, ['gsyncd-ts', 'worker', 'gv0', '--local-n'])).toEqual([
      '--local-node',
      '--local-node-id',
    ]);
    expect(bashOffers(program, ['gsyncd-ts', 'completion', ''])).toEqual(expect.arrayContaining(['bash', 'zsh']));
    expect(bashOffers(program, ['gsyncd-ts', 'worker', '--config-file', '/et'])).toEqual(['files']);
    expect(bashOffers(HOSTILE, ['gsyncd-ts', 'one', '--mode', ''])).toEqual(['fast', 'slow']);
    expect(bashOffers(HOSTILE, ['gsyncd-ts', 'one', '-f', 'x'])).toEqual(['files']);
  });

  it('offers every option of every command', () => {
    for (const { name, options } of program.commands) {
      const offered = bashOffers(program, ['gsyncd-ts', name, '-']);
      expect(offered).toEqual(
        options
          .flatMap(({ short, long }) => [short, long])
          .filter(Boolean)
          .sort(),
      );
    }
  });

  it('completes at the Tab key of an interactive bash', () => {
    const script = join(dir, 'tab.bash');
    writeFileSync(script, completionScript(program, 'bash'));
    const keys = `PS1='> '\nsource ${script}\ngsyncd-ts() { echo "ran:$*"; }\ngsyncd-ts inst\t--dry\t\nexit\n`;
    const done = spawnSync('bash', ['--norc', '--noprofile', '-i'], {
      input: keys,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], TERM: 'dumb', INPUTRC: '/dev/null' },
    });
    expect(`${done.stdout}`).toContain('ran:install --dry-run');
  });
});

describe.skipIf(lacksProgram('zsh', 'completion for zsh'))('completion for zsh', () => {
  it('passes zsh -n, and offers options and values at the Tab key of an interactive zsh', { timeout: 60_000 }, () => {
    for (const [info, typed, expected] of [
      [program, 'gsyncd-ts install --dry\\t', '--dry-run'],
      [HOSTILE, 'gsyncd-ts one --mode sl\\t', 'slow'],
    ] as const) {
      writeFileSync(join(dir, '_gsyncd-ts'), completionScript(info, 'zsh'));
      expect(spawnSync('zsh', ['-n', join(dir, '_gsyncd-ts')], { encoding: 'utf8' })).toMatchObject({
        status: 0,
        stderr: '',
      });
      const driver = `
        zmodload zsh/zpty
        seen=
        wait_for() { for i in {1..100}; do while zpty -r -t z part; do seen+=$part; done; [[ $seen = *"$1"* ]] && return; sleep 0.1; done }
        zpty z env TERM=xterm zsh -f -i
        zpty -w z "PS1='rea''dy> '; fpath=(${dir} \$fpath); autoload -Uz compinit; compinit -u -D"
        wait_for 'ready> '
        seen=
        zpty -w -n z $'${typed}'
        wait_for '${expected}'
        print -r -- $seen
        zpty -d z`;
      const done = spawnSync('zsh', ['-f', '-c', driver], { encoding: 'utf8', timeout: 45_000 });
      expect(done.stdout).toContain(expected);
    }
  });
});
