#!/bin/bash
# npm start: installs what npm needs, builds, and runs the demo (src/demo). Needs Node and nothing else.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -e node_modules ] || npm ci --no-audit --no-fund
npm run --silent build
exec node bin/gsyncd-ts.js demo "$@"
