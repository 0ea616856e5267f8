#!/usr/bin/env bash
# Installs what is missing, builds everything, and runs every test of every language.
# Usage: tests/run.sh [--fast]      --fast: without the sanitizer builds and the fuzzers
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
fast=${1:-}
bash cmake/setup.sh
export PATH="$PWD/.venv/bin:$PATH"
jobs=$(nproc)

step() { printf '\n== %s\n' "$*"; }
launcher=()
if command -v ccache >/dev/null; then
  launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache)
fi
# Every build shares one Rust library: the sanitizers look at our C++.
configure() {
  local folder=$1
  shift
  cmake -S . -B "$folder" -G Ninja -DABYSSAL_TESTS=ON -DABYSSAL_RUST_TARGET="$PWD/build/rust" "${launcher[@]}" "$@" >"$folder.log" 2>&1 || {
    cat "$folder.log"
    rm -f "$folder.log"
    exit 1
  }
  rm -f "$folder.log"
}

step "build"
configure build -DCMAKE_BUILD_TYPE=RelWithDebInfo -DABYSSAL_STATIC=ON -DABYSSAL_EXAMPLES=ON -DABYSSAL_NODE=ON -DABYSSAL_JAVA=ON
cmake --build build -j "$jobs"
step "Python package"
python -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps --force-reinstall \
  --config-settings=build-dir="$PWD/build/python" --config-settings=cmake.define.ABYSSAL_PREBUILT="$PWD/build" \
  ./bindings/python

if [ "$fast" != --fast ]; then
  step "address and undefined behaviour sanitizers"
  configure build/asan -DCMAKE_BUILD_TYPE=RelWithDebInfo -DABYSSAL_SANITIZE=address,undefined -DABYSSAL_EXAMPLES=OFF
  cmake --build build/asan -j "$jobs"
  ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 ctest --test-dir build/asan --no-tests=error --output-on-failure -LE install
  step "thread sanitizer"
  configure build/tsan -DCMAKE_BUILD_TYPE=RelWithDebInfo -DABYSSAL_SANITIZE=thread -DABYSSAL_EXAMPLES=OFF
  cmake --build build/tsan -j "$jobs" --target test_base test_engine test_api
  TSAN_OPTIONS="suppressions=$PWD/tests/support/tsan.supp" ctest --test-dir build/tsan --no-tests=error --output-on-failure -R '^(base|engine|api)$'
fi

step "C, C++"
without=()
[ "$fast" != --fast ] || without=(-LE fuzz)
ctest --test-dir build --no-tests=error --output-on-failure "${without[@]}"
step "Python and the command"
python -m pytest -q tests
step "Python wheel"
bash tests/python/clean_venv.sh build
step "Python without a global lock"
bash tests/python/free_threaded.sh build
step "Node.js"
bash tests/javascript/run.sh build
if [ "$fast" != --fast ]; then bash tests/javascript/from_source.sh build; fi
step "Java"
bash tests/java/run.sh
step "one scenario in five languages"
bash tests/bindings/run.sh build
