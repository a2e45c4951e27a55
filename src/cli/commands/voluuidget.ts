// `gsyncd-ts voluuidget`: prints the uuid of a volume of another cluster, or nothing when the uuid is not available.
// glusterd runs it for the secondary volume while it creates a session.

import { errorLine } from '../../errors.js';
import { openDefaults } from '../open-session.js';
import { printLines } from '../print.js';
import { DEBUG, type Flags, type FastCommand } from '../fast-command.js';

export const voluuidgetCommand: FastCommand = {
  name: 'voluuidget',
  description: 'print the uuid of a volume',
  positionals: [
    ['host', 'a node of its cluster'],
    ['volname', 'its name'],
  ],
  options: [DEBUG],
  example: 'backup.example sv0',
  run: runVoluuidget,
};

async function runVoluuidget([host = '', volume = '']: readonly string[], flags: Flags): Promise<void> {
  const { log } = openDefaults('voluuidget', flags);
  const { runChild } = await import('../../process/spawn.js');
  const { parseVolumeInfo } = await import('../../gluster/volinfo.js');
  try {
    const argv = [
      'gluster',
      '--xml',
      `--remote-host=${host}`,
      'volume',
      'info',
      volume,
      ...(flags.has('inet6') ? ['--inet6'] : []),
    ];
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
