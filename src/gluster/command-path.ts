// Finds the Gluster programs as the session's options say.

/** @param commandDir directory of the program, with or without a slash at its end; '' for PATH */
export function commandPath(commandDir: string, program: 'gluster' | 'glusterfs'): string {
  return commandDir === '' ? program : `${commandDir.replace(/\/+$/, '')}/${program}`;
}
