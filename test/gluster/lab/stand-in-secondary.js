// Takes the place of bin/gsyncd-ts.js in tests of the forced command. Everything is the real program, except for the secondary,
// which changes to a directory, prints its process id and waits. Tests copy this file as gsyncd-ts.js.
const args = process.argv.slice(2);
if (args[0] === 'secondary') {
  process.chdir(args[args.indexOf('--primary-brick') + 1]);
  process.stdout.write(`${process.pid}\n`);
  process.stdin.on('end', () => process.exit(0)).resume();
} else {
  await import('/mnt/gsyncd-ts/bin/gsyncd-ts.js');
}
