#!/bin/bash
# npm run bench: the stock worker and this project's, after each other on fresh volumes of the same kind; see bench.ts
# for the phases. BENCH_ROUNDS=n repeats all of it (default 1), BENCH_PHASES picks from planning, status, first-rsync, live,
# catch-up, first-tarssh, pending, secondary, the layouts of bench-layouts.ts: distributed, triples, arbiter, disperse,
# and wan. BENCH_WHO=gsyncd-ts leaves the stock worker out. Installs what is missing, as npm test does.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. test/gluster/lab/packages.sh
why=$(why_no_gluster)
[ -z "$why" ] || { echo "bench: cannot run here: $why" >&2; exit 1; }
if [ ! -e node_modules ]; then need_toolchain; npm ci --no-audit --no-fund; fi
npm run --silent build
exec npx --no-install vitest run --config test/gluster/bench.config.ts
