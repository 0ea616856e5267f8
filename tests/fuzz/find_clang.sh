#!/usr/bin/env bash
# Prints the newest clang++ that can build fuzzers; fails where there is none.
for candidate in clang++-{21,20,19,18,17,16,15,14} clang++; do
  if command -v "$candidate" >/dev/null &&
    echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char *, unsigned long) { return 0; }' |
    "$candidate" -fsanitize=fuzzer,address,undefined -x c++ - -o /dev/null 2>/dev/null; then
    echo "$candidate"
    exit 0
  fi
done
exit 1
