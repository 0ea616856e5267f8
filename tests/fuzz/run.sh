#!/usr/bin/env bash
# Builds a fuzzer for each reader with clang's libFuzzer and the sanitizers, and runs them, as many at a time as there are
# processors, at least two. They start from seeds/, which make_seeds.py writes, from corpus/, a few of the inputs that
# longer runs found (picked from what -set_cover_merge=1 kept), and from what the last run left in BUILD_FOLDER.
# Exit 77: there is no clang that can.
# Usage: run.sh BUILD_FOLDER RUST_LIBRARY [SECONDS [TARGET...]]     default: 60 seconds each, all targets
set -euo pipefail
build=$(realpath -m "${1:?the folder to build in}")
rust=$(realpath "${2:?the Rust part of the text library, libabyssal_text.a}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=tests/fuzz
seconds=${3:-60}
targets=(gguf gguf_text safetensors config tokenizer chat_template)
[ $# -le 3 ] || targets=("${@:4}")

compiler=$(bash "$here/find_clang.sh") || {
  echo "skipped: no clang++ that builds with -fsanitize=fuzzer (Debian: clang and libclang-rt-dev)"
  exit 77
}
jobs=$(nproc)
[ "$jobs" -ge 2 ] || jobs=2
launcher=$(command -v ccache || true)
flags="-std=c++20 -O1 -gline-tables-only -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
  -I. -Ilib -Iinclude -Itests/fuzz"
sources=(lib/base/{block_format,hash64,mapped_file,status}.cpp lib/weights/{gguf,safetensors}*.cpp
  lib/text/{chat_template,gguf_tokenizer,pre_tokenizer,tokenizer,utf8}.cpp
  lib/families/*.cpp lib/load/text_parts.cpp lib/model/layers/*.cpp lib/model/{pass,profile,spec,workspace}.cpp
  lib/device/device.cpp tests/fuzz/no_backend.cpp)

# Compiles one source into BUILD_FOLDER/objects.
compile() {
  $launcher "$compiler" $flags -c "$1" -o "$build/objects/$(basename "$1" .cpp).o"
}
export -f compile
export build compiler flags launcher
mkdir -p "$build/objects"
entries=("${targets[@]/#/$here/}")
printf '%s\n' "${sources[@]}" "${entries[@]/%/_fuzz.cpp}" |
  xargs -d '\n' -P "$jobs" -I{} bash -c 'set -euo pipefail; compile "$1"' bash {}
rm -f "$build/readers.a"
readers=("${sources[@]##*/}")
readers=("${readers[@]/%.cpp/.o}")
ar rcs "$build/readers.a" "${readers[@]/#/$build/objects/}"
for target in "${targets[@]}"; do
  "$compiler" -fsanitize=fuzzer,address,undefined "$build/objects/${target}_fuzz.o" "$build/readers.a" "$rust" \
    -lpthread -ldl -lm -o "$build/${target}_fuzz"
done

# One target: its last lines when it ends well, all of the report when not.
fuzz() {
  local target=$1 log=$build/$1.log
  mkdir -p "$build/corpus/$target" # what it finds; the others stay as they are
  if "$build/${target}_fuzz" -max_total_time="$seconds" -timeout=20 -max_len=16384 -rss_limit_mb=2048 \
    -artifact_prefix="$build/$target-" "$build/corpus/$target" "$here/corpus/$target" "$here/seeds/$target" >"$log" 2>&1; then
    printf '%-14s %s\n' "$target" "$(grep '^Done' "$log")"
  else
    grep -v '^#[0-9]*\s' "$log" | tail -n 60
    printf '%s failed. Run it on the input that it names above: %s INPUT\n' "$target" "$build/${target}_fuzz"
    return 1
  fi
}
export -f fuzz
export here seconds
printf '%s\n' "${targets[@]}" | xargs -P "$jobs" -I{} bash -c 'set -euo pipefail; fuzz "$1"' bash {}
