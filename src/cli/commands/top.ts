// `gsyncd-ts top`: shows the work of this node's sessions, live in a terminal, once into a pipe, or as JSON for
// programs. It only reads files, so it works beside any worker and without one.

import type { Command } from 'commander';
import type { RenderOptions } from '../../top/render.js';
import type { Charset } from '../../top/text.js';
import { secondsBetween } from '../option-values.js';
import { printText } from '../print.js';

interface TopFlags {
  readonly interval: number;
  readonly once?: true;
  readonly json?: true;
  readonly color: boolean;
  readonly ascii?: true;
  readonly rows?: true;
}

/** Version of the JSON's shape. Fields may be added under the same number, but not changed or removed. */
const JSON_VERSION = 2;

export function addTopCommand(program: Command): void {
  program
    .command('top')
    .description('show what the sessions of this node are doing: lag, backlog, rates, failures')
    .argument(
      '[session]',
      "a session's name as in /var/lib/glusterd/geo-replication or its beginning, the file:///PATH of a plain directory, or a directory with status files (default: all)",
    )
    .option('--interval <seconds>', 'between two looks', secondsBetween(0.2, 3600), 2)
    .option('--once', 'print once and end, as it does where its output is no terminal')
    .option('--json', 'print once, as JSON')
    .option('--no-color', 'no colours (as with NO_COLOR set)')
    .option('--ascii', 'ASCII characters only (default: where the locale is not UTF-8)')
    .option('--rows', 'one row for each brick')
    .addHelpText(
      'after',
      '\nKeys: q or Ctrl-C ends, j, k and the arrow keys scroll.\n\nExample:\n  gsyncd-ts top gv0 --interval 5',
    )
    .action(runTop);
}

async function runTop(name: string | undefined, flags: TopFlags): Promise<void> {
  const [{ renderTop }, { SessionReader }, { findNamedSessions }, { truncate }] = await Promise.all([
    import('../../top/render.js'),
    import('../../progress/sessions.js'),
    import('../session-lookup.js'),
    import('../../top/text.js'),
  ]);
  const readers = new Map<string, InstanceType<typeof SessionReader>>();
  const readSessions = async () => {
    const dirs = await findNamedSessions(name);
    return Promise.all(
      dirs.map((dir) => {
        let reader = readers.get(dir);
        if (reader === undefined) readers.set(dir, (reader = new SessionReader(dir)));
        return reader.read();
      }),
    );
  };
  if (flags.json === true) {
    await printText(
      `${JSON.stringify({ version: JSON_VERSION, time: Date.now() / 1000, sessions: await readSessions() }, null, 2)}\n`,
    );
    return;
  }
  const { stdin, stdout } = process;
  const isDumbTerminal = process.env['TERM'] === 'dumb';
  const isLive = stdout.isTTY && flags.once !== true && !isDumbTerminal;
  const charset: Charset = flags.ascii === true || !isUtf8Locale() ? 'ascii' : 'unicode';
  const colours = flags.color && !process.env['NO_COLOR'] && stdout.isTTY && !isDumbTerminal ? 'on' : 'off';
  const options = {
    charset,
    colours,
    shape: flags.rows === true ? 'rows' : undefined,
  } satisfies Partial<RenderOptions>;
  if (!isLive) {
    await printText(
      `${renderTop(await readSessions(), Date.now(), { columns: stdout.columns || 80, ...options }).join('\n')}\n`,
    );
    return;
  }
  // Reports an error at the start in one line on the normal screen.
  await readSessions();
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort());
  const { runScreen } = await import('../../top/screen.js');
  await runScreen({
    input: stdin,
    output: stdout,
    intervalMs: flags.interval * 1000,
    frame: async (columns, rows) => renderTop(await readSessions(), Date.now(), { columns, rows, ...options }),
    footer: (columns, hidden) =>
      truncate(
        `q quits${hidden > 0 ? `, j and k scroll, ${hidden} lines more` : ''}   every ${flags.interval} s`,
        columns,
        charset,
      ),
    signal: stop.signal,
  });
}

function isUtf8Locale(): boolean {
  const { LC_ALL, LC_CTYPE, LANG } = process.env;
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '');
}
