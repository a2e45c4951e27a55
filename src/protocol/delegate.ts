// A secondary that forwards each call, as a base for wrappers that change some calls.

import type { Secondary } from './secondary.js';

export function delegate(secondary: Secondary): Secondary {
  return {
    entryOps: (ops) => secondary.entryOps(ops),
    metaOps: (ops) => secondary.metaOps(ops),
    lstat: (path) => secondary.lstat(path),
    entries: (path) => secondary.entries(path),
    purge: (path, names) => secondary.purge(path, names),
    setattr: (path, attrs) => secondary.setattr(path, attrs),
    keepAlive: (info) => secondary.keepAlive(info),
  };
}
