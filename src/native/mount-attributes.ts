// Xattrs of a mount's root, asked for in the thread pool: a mount may be slow to answer. Both throw errors with the errno's
// name in `code`. fs-xattr follows symlinks and takes paths as text only, which is right for a mount point of this program's
// own making and wrong for the names of a volume: those go through libc.ts alone. fs-xattr does
// the work where npm could compile it; elsewhere libc is called through koffi.

import { lgetxattrAsync, lremovexattrAsync } from './libc.js';

export interface AttributeCalls {
  readonly getAttribute: (path: string, name: string) => Promise<Buffer>;
  readonly removeAttribute: (path: string, name: string) => Promise<void>;
}

export const libcCalls: AttributeCalls = {
  getAttribute: lgetxattrAsync,
  removeAttribute: lremovexattrAsync,
};

const NAMES = ['getAttribute', 'removeAttribute'] as const;
/** Not a literal in the import: the types of an optional package may be missing where this is compiled. */
const PACKAGE: string = 'fs-xattr';

let chosen: Promise<AttributeCalls> | undefined;

/** The calls to use, chosen once. */
export async function mountAttributes(): Promise<AttributeCalls> {
  chosen ??= chooseCalls(() => import(PACKAGE) as Promise<unknown>);
  return chosen;
}

/** What `load` brings when it has all the calls, libc's otherwise. Never throws. */
export async function chooseCalls(load: () => Promise<unknown>): Promise<AttributeCalls> {
  try {
    const loaded = await load();
    return hasCalls(loaded) ? loaded : libcCalls;
  } catch {
    return libcCalls;
  }
}

function hasCalls(loaded: unknown): loaded is AttributeCalls {
  return typeof loaded === 'object' && loaded !== null && NAMES.every((name) => typeof Reflect.get(loaded, name) === 'function');
}
