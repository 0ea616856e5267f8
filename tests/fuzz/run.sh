#!/usr/bin/env bash
# Builds the fuzzers with clang's libFuzzer and the sanitizers, and runs each. Exit 77: there is no clang that can.
# Usage: run.sh BUILD_FOLDER [RUNS]      default: 20000 runs each, always the same ones
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${1:?the folder to build in}
runs=${2:-20000}

compiler=
for candidate in clang++-19 clang++-18 clang++-17 clang++-16 clang++-15 clang++-14 clang++; do
  if command -v "$candidate" >/dev/null &&
    echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char *, unsigned long) { return 0; }' |
    "$candidate" -fsanitize=fuzzer,address,undefined -x c++ - -o /dev/null 2>/dev/null; then
    compiler=$candidate
    break
  fi
done
if [ -z "$compiler" ]; then
  echo "skipped: no clang with -fsanitize=fuzzer (Debian: clang-19 and libclang-rt-19-dev)"
  exit 77
fi

mkdir -p "$build"
flags=(-std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
  -I"$root" -I"$root/lib" -I"$root/include" -I"$root/tests/fuzz")
base=("$root"/lib/base/{block_format,mapped_file,status}.cpp)
"$compiler" "${flags[@]}" "$root"/tests/fuzz/gguf_fuzz.cpp "$root"/lib/weights/gguf_*.cpp \
  "$root"/lib/model/{config,config_fields,gguf_config}.cpp "${base[@]}" -o "$build/gguf_fuzz"
"$compiler" "${flags[@]}" "$root"/tests/fuzz/safetensors_fuzz.cpp "$root"/lib/weights/safetensors{,_header}.cpp \
  "${base[@]}" -o "$build/safetensors_fuzz"

for target in gguf safetensors; do
  rm -rf "$build/$target"
  mkdir -p "$build/$target" # what it finds; the seeds stay as they are
  "$build/${target}_fuzz" -runs="$runs" -seed=1 -max_len=16384 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$build/$target-" "$build/$target" "$root/tests/fuzz/seeds/$target" 2>&1 | tail -12
done
