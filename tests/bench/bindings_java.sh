#!/usr/bin/env bash
# Time of a token at greedy decode, through C and through Java, in turns. Needs an idle machine, and build/ as
# tests/java/run.sh leaves it.
# Usage: tests/bench/bindings_java.sh [MODEL [TURNS]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
model=${1:-tests/data/conformance/tiny-r1-distill-qwen}
turns=${2:-5}
program=build/bin/bindings_decode
cc -std=c99 -D_POSIX_C_SOURCE=199309L -O2 -Iinclude tests/bench/bindings_decode.c -o "$program" -Lbuild/lib -labyssal \
  -Wl,-rpath,"$PWD/build/lib"
jars=$(printf '%s:' build/java/library/target/abyssal-*.jar)
for ((turn = 0; turn < turns; ++turn)); do
  printf 'C    '
  "$program" "$model"
  printf 'Java '
  java -cp "$jars" tests/bench/BindingsDecode.java "$model"
done
