#!/usr/bin/env bash
# Makes the static library: an archive of one object that holds all of ours. Of its names a linker sees the API alone, and
# that hidden: a program binds to it and does not export it. So another copy of the library, another version of a C++ library
# that we use, or another Rust standard library in the program meets nothing of ours.
# Usage: static_library.sh EXPORTS.map OUTPUT.a OBJECT_OR_ARCHIVE...
#   The environment names the tools: CC, LD, OBJCOPY, READELF, AR. KEEP_DEBUG: not empty, with debug information.
set -euo pipefail
map=$1 output=$2
shift 2
parts=$output.parts
rm -rf "$parts" "$output"
mkdir -p "$parts"
trap 'rm -rf "$parts"' EXIT
strip=--strip-debug
[ -z "${KEEP_DEBUG:-}" ] || strip=

# The result's visibility is the narrower one of definition and reference: these references hide the API's functions.
sed -n 's/^ *\(aby_[a-z0-9_]*\);$/\1/p' "$map" >"$parts/api"
{
  sed 's/.*/.globl &\n.hidden &/' "$parts/api"
  echo '.section .note.GNU-stack,"",@progbits'
} >"$parts/hide.s"
"$CC" -c "$parts/hide.s" -o "$parts/hide.o"

# What the API does not reach is left out. Groups are dissolved: the program's linker would drop one of ours for its twin
# elsewhere, and symbols that only we can name with it.
sed 's/^/--undefined=/' "$parts/api" >"$parts/roots"
"$LD" -r --force-group-allocation --gc-sections ${strip:+"$strip"} -o "$parts/whole.o" "@$parts/roots" \
  "$parts/hide.o" --start-group "$@" --end-group

# objcopy makes weak symbols local, but not the "unique" ones of templates' static variables. Rust's standard library brings
# LLVM's code beside the machine's; joined to one section, it stops every tool that LLVM's plugin is loaded into.
"$READELF" --symbols --wide "$parts/whole.o" | awk '$5 == "UNIQUE" {print $8}' >"$parts/unique"
"$OBJCOPY" --remove-section=.llvmbc --remove-section=.llvmcmd --weaken-symbols="$parts/unique" "$parts/whole.o"
"$OBJCOPY" --keep-global-symbols="$parts/api" "$parts/whole.o" "$parts/abyssal.o"
"$AR" rcsD "$output" "$parts/abyssal.o"
