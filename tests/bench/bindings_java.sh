#!/usr/bin/env bash
# Greedy decoding through C and through Java, in turns: tokens a second. Needs an idle machine, and build/ as tests/run.sh
# leaves it.
# Usage: tests/bench/bindings_java.sh [MODEL [TURNS]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
model=${1:-examples/models/abyssal-tiny-r1}
turns=${2:-5}
jars=$(printf '%s:' build/java/library/target/abyssal-*.jar)
for ((turn = 0; turn < turns; ++turn)); do
  build/bin/bindings_c "$model"
  java -cp "$jars" tests/bench/BindingsJava.java "$model"
done
