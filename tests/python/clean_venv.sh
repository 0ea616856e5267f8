#!/usr/bin/env bash
# Makes the wheel of a build and uses it as strangers do: installed without an index into an environment of its own, with
# a PATH that holds nothing but that environment, and no compiler; first without numpy, then with it.
# Usage: tests/python/clean_venv.sh BUILD_FOLDER     PYTHON: the interpreter, as for bindings/python/wheel.sh
set -euo pipefail
build=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
python=$(command -v "${PYTHON:-python3}")
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

fail() {
  echo "clean_venv.sh: $*" >&2
  exit 1
}

PYTHON=$python bash bindings/python/wheel.sh "$build" "$build/wheel" >"$stage/wheel.txt"
wheel=$(tail -n 1 "$stage/wheel.txt")
case $wheel in *-manylinux_*_x86_64.whl) ;; *) fail "the wheel is $wheel; expected a manylinux tag" ;; esac
size=$(stat -c %s "$wheel")
[ "$size" -lt 45000000 ] || fail "the wheel has $size bytes; expected less than 45 MB"

"$python" -m venv --without-pip "$stage/venv"
clean() { env -i -C / HOME="$stage" LANG=C.UTF-8 PATH="$stage/venv/bin" "$@"; }
if clean /bin/sh -c 'command -v cc || command -v c++ || command -v gcc || command -v cmake || command -v cargo'; then
  fail "there is a compiler on a path that should have none"
fi
clean "$python" -m pip --python "$stage/venv/bin/python" install -q --disable-pip-version-check --no-index --no-deps "$wheel"

ask() { clean python "$root/tests/python/stranger.py" "$root/tests/data/conformance/tiny-v3" "$@"; }
ask without
# The numpy of the interpreter that built the wheel, and nothing else of its packages.
mkdir "$stage/numpy"
"$python" -c 'import numpy, pathlib; print(pathlib.Path(numpy.__file__).parent)' >"$stage/numpy.txt"
for folder in "$(cat "$stage/numpy.txt")" "$(cat "$stage/numpy.txt").libs"; do
  [ ! -d "$folder" ] || ln -s "$folder" "$stage/numpy/"
done
echo "$stage/numpy" >"$(clean python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/numpy.pth"
ask with
echo "$(basename "$wheel"): $size bytes, passed"
