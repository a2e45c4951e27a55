// `gsyncd-ts status`: one brick's state, as `gluster volume geo-replication … status` shows it. glusterd runs it for
// every brick at each request, so it loads only what the answer needs. glusterd uses the old argument style, which
// prints only the stock daemon's lines.

import { closeSync, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoCode, errorLine, GsyncdError } from '../../errors.js';
import { safeText } from '../../log-format.js';
import { fsDecode, fsEncode } from '../../names.js';
import { statusFileName } from '../../status/file-name.js';
import { isMonitorRunning } from '../../status/monitor-lock.js';
import { statusReport } from '../../status/report.js';
import { stripSpace } from '../../config/words.js';
import { STOCK_FIELDS } from '../legacy/legacy-argv.js';
import { openSession } from '../open-session.js';
import { printLines } from '../print.js';
import { pythonJson, pythonText } from '../legacy/python-text.js';
import { CONFIG_FILE, DEBUG, SESSION_POSITIONALS, type Flags, type FastCommand } from '../fast-command.js';

export const statusCommand: FastCommand = {
  name: 'status',
  description: "print the state of one brick's worker",
  positionals: SESSION_POSITIONALS,
  options: [
    { name: 'local-path', value: 'path', help: "the brick's path" },
    { name: 'json', help: 'print one JSON object, all values as texts' },
    { name: STOCK_FIELDS, help: "leave out a first sync's progress, which GlusterFS's own status does not have" },
    CONFIG_FILE,
    DEBUG,
  ],
  example: 'gv0 backup.example::sv0 --local-path /bricks/b1',
  run: runStatus,
};

async function runStatus([primary = '', secondary = '']: readonly string[], flags: Flags): Promise<void> {
  const localPath = flags.value('local-path');
  const { settings } = await openSession({ command: 'status', primary, secondary, flags, localPath });
  if (localPath === undefined) throw new GsyncdError('status: --local-path: missing', { code: 'fault' });
  const stateFile = settings.text('state-file');
  const brickFile = join(dirname(stateFile), statusFileName(localPath));
  const brickText = readOrCreate(brickFile);
  const state = stripSpace(readOrCreate(stateFile));
  const shouldCheckMonitor = state === 'Started' || state === 'Paused';
  const checkpoint = Number(settings.get('checkpoint') ?? 0);
  const isRunning = shouldCheckMonitor && (await isMonitorRunning(settings.text('pid-file')));
  const report = statusReport({ file: parseJson(brickText), monitor: { state, isRunning }, checkpoint });
  const fields = [...report].map(([name, value]) => [name, pythonText(value)] as const);
  if (!flags.has(STOCK_FIELDS))
    fields.push(...(await (await import('../../progress/first-sync-fields.js')).firstSyncFields(brickFile)));
  printLines(
    flags.has('json')
      ? [pythonJson(Object.fromEntries(fields))]
      : fields.map(([name, value]) => `${name}: ${safeText(value)}`),
  );
}

/** The file's text. A missing file is created empty, since glusterd looks for it. */
function readOrCreate(path: string): string {
  try {
    return fsDecode(readFileSync(fsEncode(path)));
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw readError(path, error);
  }
  try {
    closeSync(openSync(fsEncode(path), 'a'));
    return '';
  } catch (error) {
    throw readError(path, error);
  }
}

function readError(path: string, error: unknown): GsyncdError {
  const state = errnoCode(error) === 'ENOENT' ? 'no such session' : (errnoCode(error) ?? errorLine(error));
  return new GsyncdError(`status: ${path}: ${state}`, { code: 'preflight', cause: error });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
