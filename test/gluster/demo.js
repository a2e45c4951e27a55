// Inside demo.sh's box: the demo (src/demo) on the mounts of two volumes.
//   demo.js SECONDS SESSION_DIR PRIMARY_MOUNT SECONDARY_MOUNT WORKER_ARGUMENT...
import { join } from 'node:path';
import { runDemoOn } from '../../dist/demo/run.js';
import { viewOf } from '../../dist/demo/view.js';

const [seconds, sessionDir, primary, secondary, ...workerArgs] = process.argv.slice(2);
const program = [process.execPath, join(import.meta.dirname, '../../bin/gsyncd-ts.js')];
// GlusterFS keeps the latter in each volume for itself.
const skip = ['.glusterfs', '.trashcan'];
const shownArgs = workerArgs.slice(0, workerArgs.indexOf('--log-file'));
try {
  await runDemoOn(
    { primary, secondary, sessionDir, workerArgs, shownArgs, skip },
    { program, seconds: Number(seconds), seed: 1, view: viewOf(process.stdout) },
  );
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
