#!/usr/bin/env bash
# What tests/steps.sh promises: a step that fails ends the script, in a row too, its output is seen, and rows end by themselves.
set -euo pipefail
steps=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/steps.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "$*:"
  cat "$work/output"
  exit 1
}
# run STATUS BODY: a script that sources steps.sh ends with the status.
run() {
  local status=0
  printf 'set -euo pipefail\nsource %q\n%s\n' "$steps" "$2" >"$work/script"
  bash "$work/script" >"$work/output" 2>&1 || status=$?
  [ "$status" -eq "$1" ] || fail "status $status, expected $1"
}
has() { grep -qE -- "$1" "$work/output" || fail "no '$1' in the output"; }
has_not() { if grep -qE -- "$1" "$work/output"; then fail "'$1' in the output"; fi; }

run 0 'step "one thing" echo said
step another true'
has '^== one thing$'
has '^said$'
has '^ +[0-9]+ s  passed  one thing$'
has '^ +[0-9]+ s  in all'

run 1 'broken() { echo before; false; echo after; }
step first true
step second broken
step third true'
has '^before$'
has_not '^after$|third'
has '^ +[0-9]+ s  FAILED  second$'

run 1 'broken() { echo before; false; echo after; }
a() { step a1 broken; step a2 true; }
b() { step b1 sleep 0.5; step b2 echo said; }
lanes a b
step last true'
has '^== a1 \([0-9]+ s, FAILED\)$'
has '^before$'
has '^== b2 \([0-9]+ s, passed\)$'
has '^said$'
has_not '^after$|a2|last'

run 0 'a() { step a1 true; }
b() { step b1 true; }
lanes a b
step last true'
has '^ +[0-9]+ s  passed  last$'
echo "steps: ok"
