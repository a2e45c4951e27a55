// `gsyncd-ts completion`: prints the completion script of a shell.

import { Argument, type Command } from 'commander';
import { readProgram } from '../docs/command-tree.js';
import { completionScript, SHELLS, type Shell } from '../docs/completion-script.js';

export function addCompletionCommand(program: Command): void {
  program
    .command('completion')
    .description('print the completion script for a shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText('after', '\nExample:\n  gsyncd-ts completion bash >/usr/share/bash-completion/completions/gsyncd-ts')
    .action((shell: Shell) => void process.stdout.write(completionScript(readProgram(program), shell)));
}
