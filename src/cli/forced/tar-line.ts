// The command line that a session's tar key may ask for: `tar --overwrite -xf - -C DIRECTORY`, as stock's primary sends it,
// with the two options that this project's adds. Pure.

/** What primaries send beside `-xf -` and `-C`: this project's adds ACLs and the size of records. */
const OPTION = /^--(?:overwrite|acls|record-size=\d{1,4}K)$/;
const SESSION_DIRECTORY = /^\/proc\/([1-9]\d{0,9})\/cwd$/;

export interface TarLine {
  /** Options of tar, without the directory. */
  readonly options: readonly string[];
  /** The process in whose working directory tar is to extract. */
  readonly pid: number;
}

/** The words after `tar`, understood; undefined when they are not what a primary sends. */
export function parseTarLine(words: readonly string[]): TarLine | undefined {
  const [extract, dash, change, directory = ''] = words.slice(-4);
  const options = words.slice(0, -4);
  const pid = SESSION_DIRECTORY.exec(directory)?.[1];
  if (extract !== '-xf' || dash !== '-' || change !== '-C' || pid === undefined) return undefined;
  if (!options.includes('--overwrite') || !options.every((option) => OPTION.test(option))) return undefined;
  return { options: [...options, '-xf', '-'], pid: Number(pid) };
}
