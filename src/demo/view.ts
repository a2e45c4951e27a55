// What the demo shows while the worker works: one line from the worker's status file, each second. This is the place
// of a live view.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { statusFileName } from '../status/file-name.js';

export async function statusLine(stateDir: string, brickPath: string): Promise<string> {
  try {
    const status = JSON.parse(await readFile(join(stateDir, statusFileName(brickPath)), 'utf8')) as Record<string, unknown>;
    return `${text(status['worker_status'])}, ${text(status['crawl_status'])}: ${text(status['entry'])} entries, ${text(status['data'])} data, ${text(status['failures'])} failures pending`;
  } catch {
    return 'no status yet';
  }
}

function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '?';
}
