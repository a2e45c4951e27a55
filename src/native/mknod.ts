// mknod(2), which Node does not offer: fifos, sockets and device nodes. For local file systems.

import koffi from 'koffi';
import type { KoffiFunc } from 'koffi';
import { fsEncode } from '../names.js';
import { NativeError } from './libc.js';

type MknodCall = (path: Buffer, mode: number, dev: number) => number;
let mknodCall: MknodCall | undefined;

function loadMknod(): MknodCall {
  const lib = koffi.load('libc.so.6');
  try {
    return lib.func('mknod', 'int', ['const void *', 'uint', 'uint64']) as KoffiFunc<MknodCall>;
  } catch {
    // glibc before 2.33 has mknod only as an inline function around this one.
    const xmknod = lib.func('__xmknod', 'int', ['int', 'const void *', 'uint', 'uint64 *']) as KoffiFunc<
      (version: number, path: Buffer, mode: number, dev: number[]) => number
    >;
    return (path, mode, dev) => xmknod(0, path, mode, [dev]);
  }
}

/** @param mode type and permission bits @throws NativeError EEXIST, ENOENT, EPERM, … */
export function mknod(path: string, mode: number, dev: number): void {
  mknodCall ??= loadMknod();
  if (mknodCall(Buffer.concat([fsEncode(path), Buffer.of(0)]), mode, dev) === -1)
    throw new NativeError('mknod', JSON.stringify(path), koffi.errno());
}
