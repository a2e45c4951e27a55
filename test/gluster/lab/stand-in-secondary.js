// Stands where bin/gsyncd-ts.js would, in tests of the forced command: everything is the real program's, only the
// secondary is a process that goes to a directory, tells its id and waits. Copied as gsyncd-ts.js before it is used.
const args = process.argv.slice(2);
if (args[0] === 'secondary') {
  process.chdir(args[args.indexOf('--primary-brick') + 1]);
  process.stdout.write(`${process.pid}\n`);
  process.stdin.on('end', () => process.exit(0)).resume();
} else {
  await import('/mnt/gsyncd-ts/bin/gsyncd-ts.js');
}
