// Versions: of this program, from its package.json, and of the gsyncd whose interface it has.

import { createRequire } from 'node:module';

const manifest = createRequire(import.meta.url)('../../package.json') as { readonly version: string };

export const VERSION = manifest.version;

/** What GlusterFS 10's gsyncd answers to --version. */
export const STOCK_VERSION = 'gsyncd.py 4.0.0';
