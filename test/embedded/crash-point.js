// Loaded into a worker before anything else (node --import): ends it, as SIGKILL does, at its N-th call that changes the
// file system or starts a program, so that a run can be repeated. The number comes from GSYNCD_CRASH_AFTER, counted
// from the start, or over IPC, counted from then on; 'before' and 'after' say on which side of the call it ends.
import childProcess from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

let left = Infinity;
let point = 'before';

function arm(text) {
  const [calls, where] = text.split(' ');
  left = Number(calls);
  point = where;
}

function counted(object, name) {
  const call = object[name];
  object[name] = function (...args) {
    left -= 1;
    if (left > 0) return call.apply(this, args);
    if (point === 'before') process.kill(process.pid, 'SIGKILL');
    const result = call.apply(this, args);
    const end = () => process.kill(process.pid, 'SIGKILL');
    if (result instanceof Promise) return result.finally(end);
    end();
    return result;
  };
}

const SYNC = [
  'renameSync',
  'linkSync',
  'unlinkSync',
  'symlinkSync',
  'mkdirSync',
  'rmdirSync',
  'rmSync',
  'chmodSync',
  'lchownSync',
  'lutimesSync',
  'writeSync',
  'ftruncateSync',
];
for (const name of SYNC) counted(fs, name);
for (const name of ['rename', 'unlink', 'mkdir', 'rm', 'writeFile', 'appendFile', 'truncate'])
  counted(fs.promises, name);
for (const name of ['spawn']) counted(childProcess, name);
const handle = await fs.promises.open('/dev/null');
for (const name of ['appendFile', 'write', 'writeFile', 'datasync', 'sync', 'truncate'])
  counted(Object.getPrototypeOf(handle), name);
await handle.close();
syncBuiltinESMExports();

if (process.env.GSYNCD_CRASH_AFTER !== undefined) arm(process.env.GSYNCD_CRASH_AFTER);
process.on('message', arm);
process.channel?.unref();
