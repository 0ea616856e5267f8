#!/usr/bin/env bash
# The long campaigns, for before a release and after a change to readers, kernels or the cache: all conformance tests under
# the address and undefined behaviour sanitizers, where tests/run.sh takes a choice of them, and an hour of fuzzing for each
# reader. tests/README.md has the figures of the last time.
# Usage: tests/long.sh [conformance | fuzz [SECONDS]]...      default: both, with 3600 seconds for each reader
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
campaigns=()
seconds=3600
while [ $# -gt 0 ]; do
  case $1 in
  conformance) campaigns+=(conformance) ;;
  fuzz)
    campaigns+=(fuzz)
    if [[ ${2:-} =~ ^[0-9]+$ ]]; then
      seconds=$2
      shift
    fi
    ;;
  *)
    echo "tests/long.sh: unknown campaign $1; expected conformance, fuzz or fuzz SECONDS" >&2
    exit 2
    ;;
  esac
  shift
done
[ ${#campaigns[@]} -gt 0 ] || campaigns=(conformance fuzz)
source tests/steps.sh
step "setup" bash cmake/setup.sh
export PATH="$PWD/.venv/bin:$PATH"
source tests/builds.sh

long_conformance() { ABYSSAL_CONFORMANCE=whole test_asan -R '^conformance_' --timeout 14400; }
# Builds in the folder of the ctest entry, whose findings it begins with.
long_fuzz() {
  configure build -DCMAKE_BUILD_TYPE=RelWithDebInfo
  cmake --build build -j "$jobs" --target abyssal_text_rust_build
  bash tests/fuzz/run.sh build/tests/fuzz build/rust/release/libabyssal_text.a "$seconds"
}

for campaign in "${campaigns[@]}"; do
  case $campaign in
  conformance)
    step "build with the address and undefined behaviour sanitizers" build_asan
    step "all conformance tests under the sanitizers" long_conformance
    ;;
  fuzz) step "fuzzing, $seconds s for each reader" long_fuzz ;;
  esac
done
