#!/usr/bin/env bash
# Compiles the README's C program with the README's own commands, in a home folder of its own, and runs it.
# Usage: readme_commands.sh BUILD_FOLDER
set -euo pipefail
build=$1
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v pkg-config >/dev/null || {
  echo "pkg-config is not installed"
  exit 77
}

# The code of one language in the section "## C".
section() { sed -n '/^## C$/,/^## Python$/p' "$source/README.md" | sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/p" | grep -v '^```'; }
section c >"$work/hello.c"
section sh >"$work/commands"
[ -f "$build/lib/libabyssal.a" ] || sed -i '/abyssal-static/d' "$work/commands"
programs=$(sed -n 's/^cc .* -o \([a-z_]*\) .*/\1/p' "$work/commands")
[ -n "$programs" ] || {
  echo "the README's section on C has no command that compiles"
  exit 1
}

ln -s "$build" "$work/build"
export HOME=$work
cd "$work"
bash -e commands >log 2>&1 || {
  cat log
  echo "failed: the README's commands on C"
  exit 1
}
for program in $programs; do
  env -i "./$program" "$source/tests/data/conformance/tiny-v3" >reply || {
    echo "failed: $program"
    exit 1
  }
  [ -n "$(tr -d '[:space:]' <reply)" ] || {
    echo "$program prints nothing"
    exit 1
  }
  echo "$program: ok"
done

# A message that is longer than the program has room for is an error that it prints, and nothing is read beyond its arrays.
long=$(printf '%06000d' 0)
sed "s/What is 47 \* 6 + 12?/$long/" hello.c >long.c
grep -q "$long" long.c
flags=$(PKG_CONFIG_PATH=$work/abyssal/lib/pkgconfig pkg-config --cflags --libs abyssal)
# shellcheck disable=SC2086
cc -g -fsanitize=address,undefined long.c -o long $flags "-Wl,-rpath,$work/abyssal/lib"
status=0
ASAN_OPTIONS=detect_leaks=0 ./long "$source/tests/data/conformance/tiny-v3" >reply 2>error || status=$?
[ "$status" = 1 ] && grep -q 'room for 4096' error || {
  cat error
  echo "failed: a message of 6000 characters (status $status)"
  exit 1
}
echo "a message of 6000 characters: refused"
