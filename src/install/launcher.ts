// The file that stands in the stock gsyncd's place: a few lines of sh that become node with this program. glusterd
// starts it with an almost empty environment, sshd as a forced command of any user, so it relies on nothing: node and
// the program are named by absolute paths, and the usual directories are added to PATH for what the program starts.
// Also tells whether a file in that place is one of these, the stock one, or something unknown. Pure.

/** In the launcher's second line; how a later install or uninstall knows it. */
const MARK = '# gsyncd-ts launcher';
const USUAL_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export type GsyncdKind = 'launcher' | 'stock' | 'unknown';

/** The launcher's text. `node` and `script` are absolute paths. */
export function launcherText(node: string, script: string): string {
  return [
    '#!/bin/sh',
    `${MARK}: made by "gsyncd-ts install", taken away by "gsyncd-ts install --uninstall".`,
    '# The file that was here before is beside this one, as gsyncd.stock.',
    `PATH="\${PATH:+$PATH:}${USUAL_PATH}"`,
    'export PATH',
    `node=${shellQuote(node)}`,
    '[ -x "$node" ] || node=node',
    `exec "$node" ${shellQuote(script)} "$@"`,
    '',
  ].join('\n');
}

function shellQuote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** What a file in the stock path is. The stock one is a compiled wrapper, or on some systems a script, that starts
 *  Python's gsyncd. */
export function gsyncdKind(content: Buffer): GsyncdKind {
  if (content.subarray(0, 2).equals(Buffer.from('#!')) && content.subarray(0, 256).includes(`\n${MARK}`)) return 'launcher';
  const startsPython = content.includes('syncdaemon') && content.includes('gsyncd.py');
  const isElf = content.subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1'));
  const isPython = /^#![^\n]*python/.test(content.subarray(0, 200).toString('latin1'));
  return startsPython && (isElf || isPython) ? 'stock' : 'unknown';
}
