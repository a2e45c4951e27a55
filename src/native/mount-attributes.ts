// Xattrs of a mount's root, accessed in the thread pool because a mount may answer slowly. Errors have the errno's name in
// `code`. Where npm could compile fs-xattr, it does the work; elsewhere koffi calls libc. fs-xattr follows symlinks and
// takes paths as text only. That is right for a mount point that this program made, and wrong for names in a volume: those
// go through libc.ts alone.

import { lgetxattrAsync, lremovexattrAsync } from './libc.js';

export interface AttributeCalls {
  readonly getAttribute: (path: string, name: string) => Promise<Buffer>;
  readonly removeAttribute: (path: string, name: string) => Promise<void>;
}

export const libcCalls: AttributeCalls = {
  getAttribute: lgetxattrAsync,
  removeAttribute: lremovexattrAsync,
};

const CALL_NAMES = ['getAttribute', 'removeAttribute'] as const;
/** Not a literal in the import, because the types of an optional package may be missing at compile time. */
const PACKAGE_NAME: string = 'fs-xattr';

let chosen: Promise<AttributeCalls> | undefined;

export async function loadAttributeCalls(): Promise<AttributeCalls> {
  chosen ??= chooseCalls(() => import(PACKAGE_NAME) as Promise<unknown>);
  return chosen;
}

/** @returns the module that `load` loads when it has all the calls, libc's otherwise. Never throws. */
export async function chooseCalls(load: () => Promise<unknown>): Promise<AttributeCalls> {
  try {
    const loaded = await load();
    return hasCalls(loaded) ? loaded : libcCalls;
  } catch {
    return libcCalls;
  }
}

function hasCalls(loaded: unknown): loaded is AttributeCalls {
  return (
    typeof loaded === 'object' &&
    loaded !== null &&
    CALL_NAMES.every((name) => typeof Reflect.get(loaded, name) === 'function')
  );
}
