// `gsyncd-ts voluuidget`: prints the uuid of a volume of another cluster; nothing when it cannot be had, which is how
// glusterd asks for a secondary volume while a session is created.

import type { Command } from 'commander';
import { errorLine } from '../../errors.js';
import { openDefaults, type CommonFlags } from '../open-session.js';
import { printLines } from '../print.js';

export function addVoluuidgetCommand(program: Command): void {
  program
    .command('voluuidget')
    .description('print the uuid of a volume')
    .argument('<host>', 'a node of its cluster')
    .argument('<volname>', 'its name')
    .option('--debug', 'log to the terminal')
    .addHelpText('after', '\nExample:\n  gsyncd-ts voluuidget backup.example sv0')
    .action((host: string, volume: string, flags: CommonFlags) => runVoluuidget(host, volume, flags, program.opts()['inet6'] === true));
}

async function runVoluuidget(host: string, volume: string, flags: CommonFlags, inet6: boolean): Promise<void> {
  const { log } = openDefaults('voluuidget', flags);
  const { runChild } = await import('../../process/spawn.js');
  const { parseVolumeInfo } = await import('../../gluster/volinfo.js');
  try {
    const argv = ['gluster', '--xml', `--remote-host=${host}`, 'volume', 'info', volume, ...(inet6 ? ['--inet6'] : [])];
    const output = await runChild(argv);
    if (output.exitCode !== 0) {
      const fields = { secondaryvol: volume, secondaryhost: host, error: output.exitCode ?? output.signal };
      log.info('Volume info failed, unable to get volume uuid of secondaryvol, returning empty string', fields);
      return;
    }
    printLines([parseVolumeInfo(output.stdout.toString('utf8'), volume).id]);
  } catch (error) {
    const fields = { secondaryvol: volume, secondaryhost: host, error: errorLine(error) };
    log.info('Unable to get volume uuid of secondaryvol, returning empty string', fields);
  }
}
