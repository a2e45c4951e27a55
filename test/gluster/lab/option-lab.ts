// A session whose ssh and rsync note each command line that they are run with, and do what a test asks for before they do
// their work.
import { beforeAll } from 'vitest';
import type { Lab } from './lab.js';
import { useLab } from './use-lab.js';
import type { WorkerHandle } from './worker.js';

export interface OptionLab {
  readonly lab: () => Lab;
  /** Starts the worker with these options beside the earlier ones. */
  readonly restart: (config: Readonly<Record<string, string>>) => Promise<WorkerHandle>;
  /** The worker that was started last. */
  readonly current: () => WorkerHandle;
  /** The command lines that a program was run with, since the last call. */
  readonly runsOf: (program: 'ssh' | 'rsync') => Promise<string[]>;
}

/** Registers the hooks, as useLab() does. A file `/srv/before-ssh` or `/srv/before-rsync` is run before the program. */
export function useOptionLab(): OptionLab {
  const lab = useLab();
  let worker: WorkerHandle | undefined;
  beforeAll(async () => {
    await lab().sh(
      `for program in ssh rsync; do
      printf '#!/bin/bash\\necho "$*" >>/srv/%s.log\\n[ ! -e /srv/before-%s ] || . /srv/before-%s "$@"\\nexec /usr/bin/%s "$@"\\n' $program $program $program $program >$program
    done; chmod 755 ssh rsync
    /usr/sbin/sshd -f /dev/null -h /run/sshd/host_key -p 2222 -o UsePAM=yes -o PermitRootLogin=yes -o PidFile=/run/sshd-2222.pid`,
      '/srv',
    );
    await lab().setConfig({ 'ssh-command': '/srv/ssh', 'rsync-command': '/srv/rsync' });
  }, 60_000);
  return {
    lab,
    restart: async (config) => {
      if (worker?.running) await worker.stop();
      await lab().setConfig(config);
      return (worker = lab().startWorker());
    },
    current: () => {
      if (worker === undefined) throw new Error('lab: no worker was started');
      return worker;
    },
    runsOf: async (program) => {
      const lines = (
        await lab().sh(`touch ${program}.log; mv ${program}.log ${program}.seen; cat ${program}.seen`, '/srv')
      ).split('\n');
      return lines.filter((line) => line !== '');
    },
  };
}
