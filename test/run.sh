#!/bin/bash
# npm test: everything that can be checked here, from a fresh clone on. Installs what is missing (as root on Debian),
# builds, then runs types, lint, import cycles, unit tests and the tests on real GlusterFS volumes, which are skipped
# with the reason where they cannot run. Each step counts as one check beside the tests. The last line is
# "N passed, N failed"; the exit code is 0 when nothing failed.
#   SKIP_GLUSTER=1  leaves the real volumes out
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
. test/gluster/lab/packages.sh
passed=0 failed=0
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT

finish() {
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
  exit $?
}

# step NAME COMMAND...: one check.
step() {
  local name=$1
  shift
  echo "== $name"
  if "$@" </dev/null; then passed=$((passed + 1)); else
    failed=$((failed + 1))
    echo "== $name: failed"
    return 1
  fi
}

# tests PROJECT SECONDS [OPTION...]: a vitest run of at most so long, counted test by test; a file that does not load
# counts as one failure, and so does a run that does not end.
tests() {
  local project=$1 report="$reports/$1.json" limit=$2 counts code
  shift 2
  echo "== tests: $project"
  timeout -k 30 "$limit" npx --no-install vitest run --project "$project" --reporter=default --reporter=json --outputFile.json="$report" "$@" </dev/null
  code=$?
  counts=$(node -e '
    const report = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
    const broken = report.testResults.filter((f) => f.status === "failed" && !f.assertionResults.some((t) => t.status === "failed"));
    console.log(report.numPassedTests, report.numFailedTests + broken.length);
  ' "$report" 2>/dev/null) || counts="0 1"
  read -r good bad <<<"$counts"
  [ "$code" != 0 ] && [ "$bad" = 0 ] && bad=1
  passed=$((passed + good)) failed=$((failed + bad))
}

if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  need_toolchain || true
  step "npm ci" npm ci --no-audit --no-fund || finish
fi
step build npm run --silent build || finish
step types npm run --silent types
step lint npm run --silent lint
step cycles npm run --silent cycles
# Before the unit tests: some of them run the real rsync, tar, setfacl and the stock daemon's modules.
why=$([ -n "${SKIP_GLUSTER:-}" ] && echo "SKIP_GLUSTER is set" || why_no_gluster)
tests unit 900
if [ -z "$why" ]; then
  tests gluster 2100 --maxWorkers=2
else
  echo "== tests: gluster: skipped: $why"
fi
finish
