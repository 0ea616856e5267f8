#!/usr/bin/env bash
# Checks the layout of all C and C++ files, and runs clang-tidy on the sources of a build. Installs nothing.
# Usage: cmake/lint.sh [--format-only | --fix-format] [FILE...]
#   Files: those to run clang-tidy on; default: all sources of lib, backends and examples that build/ compiles.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.venv/bin:$PATH"

mode=all
case ${1:-} in
--format-only | --fix-format)
  mode=${1#--}
  shift
  ;;
esac

command -v clang-format >/dev/null || {
  echo "clang-format is missing: cmake/setup.sh installs it into .venv" >&2
  exit 1
}
# What git tracks, and what is new and not ignored.
mapfile -t files < <(git ls-files --cached --others --exclude-standard -- '*.c' '*.cpp' '*.h' '*.hpp' | sort -u)
if [ "$mode" = fix-format ]; then
  clang-format -i "${files[@]}"
  exit
fi
clang-format --dry-run --Werror "${files[@]}" || {
  echo "layout: run cmake/lint.sh --fix-format" >&2
  exit 1
}
echo "layout: ${#files[@]} files are as clang-format writes them"
[ "$mode" = all ] || exit 0

tidy=$(command -v clang-tidy-19 || command -v clang-tidy) || {
  echo "clang-tidy is missing (Debian: clang-tidy-19)" >&2
  exit 1
}
[ -f build/build.ninja ] || {
  echo "there is no build/: run tests/run.sh --fast first" >&2
  exit 1
}
ninja -C build -t compdb >build/compile_commands.json
if [ $# -eq 0 ]; then
  mapfile -t sources < <(git ls-files --cached --others --exclude-standard -- 'lib/*.cpp' 'backends/*.cpp' 'examples/*.cpp' | sort -u)
  set -- "${sources[@]}"
fi
# The kernels' own flags are GCC's; clang's headers need no advice on them.
printf '%s\0' "$@" | xargs -0 -n 1 -P "$(nproc)" "$tidy" -p build --quiet --extra-arg=-Wno-unknown-warning-option
echo "clang-tidy: $# files, no findings"
