// `gsyncd-ts demo`: shows the worker at work on two directories that it creates. `npm start` runs it.

import type { Command } from 'commander';
import { GsyncdError } from '../../errors.js';
import { parseWholeNumber } from '../option-values.js';

interface DemoFlags {
  readonly seconds: number;
  readonly seed: number;
  readonly keep?: true;
}

const SECONDS = 15;

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description(
      'replicate a directory to another one, with changes, a kill and a comparison; needs neither root nor GlusterFS',
    )
    .option('--seconds <n>', 'how long to change files', parseWholeNumber, SECONDS)
    .option('--seed <n>', 'which changes to make', parseWholeNumber, 1)
    .option('--keep', 'keep both trees and the log')
    .addHelpText('after', '\nExample:\n  gsyncd-ts demo --seconds 30')
    .action(async ({ seconds, seed, keep }: DemoFlags) => {
      const [{ runDemo }, { viewOf }] = await Promise.all([import('../../demo/run.js'), import('../../demo/view.js')]);
      const [script] = process.argv.slice(1);
      if (script === undefined) throw new GsyncdError('start: program path: unknown', { code: 'fault' });
      await runDemo({
        program: [process.execPath, script],
        seconds,
        seed,
        keep: keep === true,
        view: viewOf(process.stdout),
      });
    });
}
