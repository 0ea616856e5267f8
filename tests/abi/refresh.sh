#!/usr/bin/env bash
# Writes the ABI baseline anew, from a library with debug information. Commit it together with the change it is for,
# and give the reason: until 1.0 the baseline may change, from 1.0 on only additions pass.
# Usage: refresh.sh [libabyssal.so]      default: that of build/
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
library=${1:-$here/../../build/lib/libabyssal.so}
readelf -S --wide "$library" | grep '\.debug_info' >/dev/null || {
  echo "$library has no debug information; build with -DCMAKE_BUILD_TYPE=RelWithDebInfo" >&2
  exit 1
}
# Nothing of the machine goes into the file: no paths, no source lines.
abidw --exported-interfaces-only --drop-private-types --headers-dir "$here/../../include" --no-show-locs \
  --no-comp-dir-path --no-corpus-path --out-file "$here/abyssal.abi" "$(readlink -f "$library")"
sed -i -E "s#path='[^']*/(lib/api/)#path='\\1#" "$here/abyssal.abi"
echo "wrote $here/abyssal.abi"
