# The builds that tests/run.sh and tests/long.sh share, and their C and C++ tests, for `step`. To be sourced, in the project's
# folder.
jobs=$(nproc)
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
# Instrumented code is slow however it is optimised: -O1 compiles in half of the time. Line numbers are all that reports need.
configure_sanitized() {
  configure "$1" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DABYSSAL_SANITIZE="$2" -DABYSSAL_EXAMPLES=OFF \
    -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g1 -DNDEBUG" -DCMAKE_C_FLAGS_RELWITHDEBINFO="-O1 -g1 -DNDEBUG"
}

build_normal() {
  configure build -DCMAKE_BUILD_TYPE=RelWithDebInfo -DABYSSAL_STATIC=ON -DABYSSAL_EXAMPLES=ON -DABYSSAL_NODE=ON -DABYSSAL_JAVA=ON
  cmake --build build -j "$jobs"
}
build_asan() {
  configure_sanitized build/asan address,undefined
  cmake --build build/asan -j "$jobs"
}
build_tsan() {
  configure_sanitized build/tsan thread
  cmake --build build/tsan -j "$jobs" --target test_base test_engine test_api
}

run_ctest() {
  local folder=$1
  shift
  ctest --test-dir "$folder" --no-tests=error --output-on-failure -j "$jobs" "$@"
  # ctest counts what it skips; the tests say why.
  grep '^skipped: ' "$folder/Testing/Temporary/LastTest.log" || true
}
test_normal() { run_ctest build "$@"; }
test_asan() {
  ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 run_ctest build/asan "$@"
}
test_tsan() {
  TSAN_OPTIONS="suppressions=$PWD/tests/support/tsan.supp" run_ctest build/tsan -L threads "$@"
}
