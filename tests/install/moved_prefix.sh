#!/usr/bin/env bash
# Installs a build, moves the prefix, and uses what is there as a stranger would: through CMake, through pkg-config and make,
# from C and from C++, as a shared library and, where the build has one, as a static one. Nothing may point back at the build,
# at the first prefix or at the environment of the build.
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
linkages=(shared)
if [ -f "$libdir/libabyssal.a" ]; then linkages+=(static); fi
echo "linkages: ${linkages[*]}"
licences=$(find "$prefix/share" -name LICENSES.txt)
[ -f "${licences%/*}/LICENSE" ] || fail "no licence is installed"
for part in 'JSON for Modern C++' xxHash 'tokenizers 0' 'minijinja 2'; do
  grep -q "^$part" "$licences" || fail "the licence of $part is not installed"
done
if [ -f "$libdir/libdnnl.so.3" ]; then grep -q '^oneDNN' "$licences" || fail "the licence of oneDNN is not installed"; fi
[ "$(readlink "$libdir/libabyssal.so")" = libabyssal.so.0 ] || fail "libabyssal.so is not a link to libabyssal.so.0"
strays=$(grep -rIlF -e "$source" -e "$work/first" -e "$build" "$prefix/include" "$libdir/cmake" "$libdir/pkgconfig" || true)
[ -z "$strays" ] || fail "these files name folders of the build: $strays"
runpath=$(readelf -d "$libdir/libabyssal.so" | sed -n 's/.*R.*PATH.*\[\(.*\)\]/\1/p')
[ "$runpath" = '$ORIGIN' ] || fail "the library's run path is '$runpath', expected \$ORIGIN"

# Runs a program away from the build's environment, and checks what it prints and which libraries it uses.
check_run() {
  local program=$1 linkage=$2 expected=$3
  env -i ldd "$program" >"$work/ldd"
  if grep -E 'not found|\.venv' "$work/ldd"; then fail "$program: the libraries above"; fi
  if [ "$linkage" = shared ]; then
    grep -qF "$libdir/libabyssal.so.0" "$work/ldd" || fail "$program does not use the moved library: $(cat "$work/ldd")"
  else
    if grep -F libabyssal "$work/ldd"; then fail "$program is linked with the library above"; fi
    if nm -D --defined-only "$program" | grep -E 'aby_|abyssal'; then fail "$program exports the above"; fi
  fi
  (cd / && env -i "$program" "$model" "Hello" 4) >"$work/log" 2>&1 || fail "$program failed: $(cat "$work/log")"
  grep -qaF "$expected" "$work/log" || fail "$program did not print '$expected': $(cat "$work/log")"
  if env -i "$program" /no/such/model >"$work/log" 2>&1; then fail "$program succeeds without a model"; fi
  grep -qF /no/such/model "$work/log" || fail "$program does not say what is missing: $(cat "$work/log")"
}

c_prints="4 new ones"
cpp_prints="deepseek_v3"
declare -A targets=([shared]=abyssal::abyssal [static]=abyssal::abyssal_static)
for linkage in "${linkages[@]}"; do
  for language in c cpp; do
    quietly "$cmake" -S "$source/examples/$language" -B "$work/$linkage/$language" -DCMAKE_BUILD_TYPE=Release \
      -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" \
      -DABYSSAL_TARGET="${targets[$linkage]}"
    quietly "$cmake" --build "$work/$linkage/$language"
    prints=${language}_prints
    check_run "$work/$linkage/$language/example_$language" "$linkage" "${!prints}"
    echo "find_package, $language, $linkage: ok"
  done
done

# Whether find_package with these arguments succeeds.
is_found() {
  rm -rf "$work/asking"
  mkdir "$work/asking"
  printf 'cmake_minimum_required(VERSION 3.16)\nproject(asking NONE)\nfind_package(abyssal %s REQUIRED)\n' "$*" \
    >"$work/asking/CMakeLists.txt"
  "$cmake" -S "$work/asking" -B "$work/asking/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1
}
is_found 0.1 || fail "find_package(abyssal 0.1): $(cat "$work/log")"
if is_found 1.0; then fail "find_package(abyssal 1.0) was satisfied by an older version"; fi
if is_found COMPONENTS other; then fail "find_package(abyssal) finds a component that there is not"; fi
if [ "${#linkages[@]}" -eq 2 ]; then
  is_found COMPONENTS static || fail "find_package(abyssal COMPONENTS static): $(cat "$work/log")"
else
  if is_found COMPONENTS static; then fail "find_package(abyssal) finds a static library that there is not"; fi
  grep -q ABYSSAL_STATIC "$work/log" || fail "find_package(abyssal COMPONENTS static) does not say why: $(cat "$work/log")"
fi

if command -v pkg-config >/dev/null; then
  export PKG_CONFIG_PATH=$libdir/pkgconfig
  version=$(sed -n 's/^project(abyssal VERSION \([0-9.]*\).*/\1/p' "$source/CMakeLists.txt")
  [ "$(pkg-config --modversion abyssal)" = "$version" ] || fail "pkg-config: not version $version"
  for linkage in "${linkages[@]}"; do
    mkdir -p "$work/make"
    quietly make -C "$work/make" -f "$source/examples/makefile/Makefile" CC="$cc" CXX="$cxx" "$linkage"
    suffix=_static
    if [ "$linkage" = shared ]; then suffix=; fi
    check_run "$work/make/reply$suffix" "$linkage" "$c_prints"
    check_run "$work/make/next_tokens$suffix" "$linkage" "$cpp_prints"
    echo "pkg-config and make, $linkage: ok"
  done
  if [ "${#linkages[@]}" -eq 2 ]; then # the shared package's own word on what the archive needs
    read -r -a flags <<<"$(pkg-config --static --cflags --libs abyssal)"
    quietly "$cc" -std=c99 "$source/examples/c/reply.c" -o "$work/reply" "${flags[@]/#-labyssal/-l:libabyssal.a}" \
      -Wl,-rpath,"$libdir"
    check_run "$work/reply" static "$c_prints"
  fi
else
  echo "pkg-config: not installed, not tested"
fi
