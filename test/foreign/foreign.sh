#!/bin/bash
# npm run test:foreign: runs third-party programs on a replicated volume; see foreign.test.ts. Installs what is missing.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. test/gluster/lab/packages.sh
why=$(why_no_gluster)
[ -z "$why" ] || { echo "test:foreign: cannot run here: $why" >&2; exit 1; }
ensure "foreign workloads" "git fio stress-ng dbench procps" "command -v git" "command -v fio" "command -v stress-ng" "command -v dbench" "command -v pkill"
if [ ! -e node_modules ]; then need_toolchain; npm ci --no-audit --no-fund; fi
npm run --silent build
exec npx --no-install vitest run --project foreign "$@"
