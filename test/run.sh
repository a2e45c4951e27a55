#!/bin/bash
# npm test: builds, then runs types, lint, format, import cycles, unit tests and the tests on real GlusterFS volumes. Works in a
# fresh clone. As root on Debian it installs the packages that tests need. Tests whose requirements are still missing are
# skipped; the reasons are listed at the end, one line each. Each step adds one check to the number of tests. The last line
# is "N passed, N failed"; the exit code is 0 when nothing failed.
#   SKIP_GLUSTER=1  runs no tests on real volumes, and installs nothing
#   NIGHTLY=1       also runs the tests on real volumes that are slow or about rare faults (test/nightly)
#   FRESH=1         runs both commands on a fresh machine at the end (test/fresh/fresh.sh; root)
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
. test/gluster/lab/packages.sh
passed=0 failed=0 skipped=0
reports=$(mktemp -d)
export SKIP_REASONS="$reports/skipped"
touch "$SKIP_REASONS"
trap 'rm -rf "$reports"' EXIT

finish() {
  if [ -s "$SKIP_REASONS" ]; then
    echo "== skipped here ($skipped tests in files that ran)"
    sort -u "$SKIP_REASONS" | sed 's/^/skipped: /'
  fi
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
  exit $?
}

# step NAME COMMAND...: runs one check.
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

# tests PROJECT SECONDS [OPTION...]: a vitest run of at most SECONDS. Each test is one check. A file that does not load is
# one failure, and so is a run that exceeds its time.
tests() {
  local project=$1 report="$reports/$1.json" limit=$2 counts code good bad left
  shift 2
  echo "== tests: $project"
  timeout -k 30 "$limit" npx --no-install vitest run --project "$project" --reporter=default --reporter=json --outputFile.json="$report" "$@" </dev/null
  code=$?
  [ "$code" = 124 ] && echo "== tests: $project: not done after $limit s"
  counts=$(node -e '
    const report = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
    const broken = report.testResults.filter((f) => f.status === "failed" && !f.assertionResults.some((t) => t.status === "failed"));
    console.log(report.numPassedTests, report.numFailedTests + broken.length, report.numPendingTests);
  ' "$report" 2>/dev/null) || counts="0 1 0"
  read -r good bad left <<<"$counts"
  [ "$code" != 0 ] && [ "$bad" = 0 ] && bad=1
  passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + left))
}

if [ -n "${SKIP_GLUSTER:-}" ]; then
  why="SKIP_GLUSTER is set"
else
  # Before npm ci and the unit tests: one package compiles, and some tests run rsync, tar, setfacl or Python.
  need_toolchain 2>/dev/null
  need_checkers 2>/dev/null
  [ -n "${NIGHTLY:-}" ] && need_nightly
  why=$(why_no_gluster)
fi
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  step "npm ci" npm ci --no-audit --no-fund || finish
fi
step build npm run --silent build || finish
step types npm run --silent types
step lint npm run --silent lint
step format npm run --silent format
step cycles npm run --silent cycles
tests unit 900 --maxWorkers=2
if [ -z "$why" ]; then
  tests gluster 3600 --maxWorkers=2
  [ -n "${NIGHTLY:-}" ] && tests nightly 7200 --maxWorkers=2
else
  echo "tests on real GlusterFS volumes: $why" >>"$SKIP_REASONS"
fi
if [ -n "${FRESH:-}" ]; then
  if [ "$(id -u)" = 0 ]; then step "fresh machine" bash test/fresh/fresh.sh; else echo "a fresh machine: needs root" >>"$SKIP_REASONS"; fi
fi
finish
