#!/bin/bash
# npm start: installs what npm needs, builds, and runs the demo (src/demo). Needs Node and nothing else.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm ci --no-audit --no-fund
fi
npm run --silent build
exec node bin/gsyncd-ts.js demo "$@"
