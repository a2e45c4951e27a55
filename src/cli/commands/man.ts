// `gsyncd-ts man`: prints the manual page.

import type { Command } from 'commander';
import { readProgram } from '../docs/command-tree.js';
import { manPage } from '../docs/man-page.js';
import { VERSION } from '../version.js';

export function addManCommand(program: Command): void {
  program
    .command('man')
    .description('print the manual page')
    .addHelpText('after', '\nExample:\n  gsyncd-ts man >/usr/local/share/man/man8/gsyncd-ts.8')
    .action(() => void process.stdout.write(manPage(readProgram(program), VERSION)));
}
