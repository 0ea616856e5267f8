#!/usr/bin/env bash
# Compares a library with the committed baseline. A function that is gone and any change of a type fail; new functions do
# not. Fields added at the end of a struct are growth by design, and the baseline is refreshed in the same commit: no
# suppression lets them pass, because abidiff's has_data_member_inserted_at = end also hides changes that insert nothing,
# such as another type of a field. That the older fields and the constants stay as they were is held by
# tests/api_headers/pinned.c, which refreshing does not touch.
# Usage: compare.sh libabyssal.so
set -euo pipefail
library=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if ! command -v abidiff >/dev/null; then
  echo "skipped: abidiff is not installed (Debian: abigail-tools)"
  exit 77
fi
# Without debug information abidiff sees names only, and would pass whatever changed.
if ! readelf -S --wide "$library" | grep '\.debug_info' >/dev/null; then
  echo "skipped: $library has no debug information (build with -DCMAKE_BUILD_TYPE=RelWithDebInfo)"
  exit 77
fi
status=0
abidiff --exported-interfaces-only --no-added-syms "$here/abyssal.abi" "$library" || status=$?
if [ "$status" -ne 0 ]; then
  echo "The ABI differs from tests/abi/abyssal.abi (abidiff: $status)."
  echo "If that is meant, run tests/abi/refresh.sh and give the reason in the commit."
  exit 1
fi
echo "the ABI is that of the baseline, new functions aside"
