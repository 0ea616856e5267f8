#!/usr/bin/env bash
# Installs a build, moves the prefix, and uses what is there as a stranger would: through CMake, through pkg-config, from C
# and from C++. Nothing may point back at the build, at the first prefix or at the environment of the build.
# Usage: moved_prefix.sh BUILD_FOLDER C_COMPILER CXX_COMPILER
set -euo pipefail
build=$1 cc=$2 cxx=$3
cmake=${CMAKE:-cmake}
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
model=$source/tests/data/conformance/tiny-v3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

quietly() {
  "$@" >"$work/log" 2>&1 || {
    cat "$work/log"
    echo "failed: $*"
    exit 1
  }
}
fail() {
  echo "$*"
  exit 1
}

for component in library development; do
  quietly "$cmake" --install "$build" --prefix "$work/first" --component "$component"
done
mv "$work/first" "$work/moved"
prefix=$work/moved
libdir=$(dirname "$(find "$prefix" -name libabyssal.so)")

for header in abyssal.h ops.h abyssal.hpp; do
  cmp "$source/include/abyssal/$header" "$prefix/include/abyssal/$header"
done
[ -f "$(find "$prefix/share" -name LICENSE)" ] || fail "no licence is installed"
[ "$(readlink "$libdir/libabyssal.so")" = libabyssal.so.1 ] || fail "libabyssal.so is not a link to libabyssal.so.1"
strays=$(grep -rIlF -e "$source" -e "$work/first" -e "$build" "$prefix/include" "$libdir/cmake" "$libdir/pkgconfig" || true)
[ -z "$strays" ] || fail "these files name folders of the build: $strays"
runpath=$(readelf -d "$libdir/libabyssal.so" | sed -n 's/.*R.*PATH.*\[\(.*\)\]/\1/p')
[ "$runpath" = '$ORIGIN' ] || fail "the library's run path is '$runpath', expected \$ORIGIN"

# Runs a program away from the build's environment, and checks what it prints.
check_run() {
  local program=$1 expected=$2
  env -i ldd "$program" >"$work/ldd"
  if grep -E 'not found|\.venv' "$work/ldd"; then fail "$program: the libraries above"; fi
  grep -qF "$libdir/libabyssal.so.1" "$work/ldd" || fail "$program does not use the moved library: $(cat "$work/ldd")"
  (cd / && env -i "$program" "$model" "Hello" 4) >"$work/log" 2>&1 || fail "$program failed: $(cat "$work/log")"
  grep -qaF "$expected" "$work/log" || fail "$program did not print '$expected': $(cat "$work/log")"
  if env -i "$program" /no/such/model >"$work/log" 2>&1; then fail "$program succeeds without a model"; fi
  grep -qF /no/such/model "$work/log" || fail "$program does not say what is missing: $(cat "$work/log")"
}

c_prints="4 new ones"
cpp_prints="deepseek_v3"
for language in c cpp; do
  quietly "$cmake" -S "$source/examples/$language" -B "$work/$language" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx"
  quietly "$cmake" --build "$work/$language"
  prints=${language}_prints
  check_run "$work/$language/example_$language" "${!prints}"
  echo "find_package, $language: ok"
done

# A version that is not there must not be found.
mkdir "$work/newer"
printf 'cmake_minimum_required(VERSION 3.16)\nproject(newer NONE)\nfind_package(abyssal 1.0 REQUIRED)\n' >"$work/newer/CMakeLists.txt"
if "$cmake" -S "$work/newer" -B "$work/newer/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1; then
  fail "find_package(abyssal 1.0) was satisfied by an older version"
fi

if command -v pkg-config >/dev/null; then
  export PKG_CONFIG_PATH=$libdir/pkgconfig
  version=$(sed -n 's/^project(abyssal VERSION \([0-9.]*\).*/\1/p' "$source/CMakeLists.txt")
  [ "$(pkg-config --modversion abyssal)" = "$version" ] || fail "pkg-config: not version $version"
  read -r -a flags <<<"$(pkg-config --cflags --libs abyssal)"
  quietly "$cc" -std=c99 "$source/examples/c/reply.c" -o "$work/reply" "${flags[@]}" -Wl,-rpath,"$libdir"
  quietly "$cxx" -std=c++17 "$source/examples/cpp/next_tokens.cpp" -o "$work/next_tokens" "${flags[@]}" -Wl,-rpath,"$libdir"
  check_run "$work/reply" "$c_prints"
  check_run "$work/next_tokens" "$cpp_prints"
  echo "pkg-config: ok"
else
  echo "pkg-config: not installed, not tested"
fi
