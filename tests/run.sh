#!/usr/bin/env bash
# Installs what is missing, builds everything, and runs every test of every language. Longer campaigns: tests/long.sh.
# Usage: tests/run.sh [--fast]      --fast: without the sanitizer builds and the fuzzers
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case ${1:-} in
'' | --fast) fast=${1:-} ;;
*)
  echo "tests/run.sh: unknown argument $1; the only one is --fast" >&2
  exit 2
  ;;
esac
source tests/steps.sh
step "setup" bash cmake/setup.sh
export PATH="$PWD/.venv/bin:$PATH"
source tests/builds.sh

python_package() {
  python -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps --force-reinstall \
    --config-settings=build-dir="$PWD/build/python" --config-settings=cmake.define.ABYSSAL_PREBUILT="$PWD/build" \
    ./bindings/python
}

step "build" build_normal
step "Python package" python_package
if [ "$fast" != --fast ]; then
  step "build with the address and undefined behaviour sanitizers" build_asan
  step "build with the thread sanitizer" build_tsan
  step "address and undefined behaviour sanitizers" test_asan
  step "thread sanitizer" test_tsan
  step "C, C++" test_normal
else
  step "C, C++" test_normal -LE fuzz
fi

# The rest is processes that use little more than one processor each.
row_python() {
  step "Python and the command" python -m pytest -q tests
  step "Python wheel" bash tests/python/clean_venv.sh build
  step "Python without a global lock" bash tests/python/free_threaded.sh build
  if [ "$fast" != --fast ]; then
    step "Node.js addon from source" bash tests/javascript/from_source.sh build
  fi
}
row_others() {
  step "Node.js" bash tests/javascript/run.sh build
  step "Java" bash tests/java/run.sh
  step "one scenario in five languages" bash tests/bindings/run.sh build
}
lanes row_python row_others
