#!/usr/bin/env bash
# Builds the package for a Python without a global interpreter lock, where there is one on the PATH, and runs the tests
# on it that have to do with threads. Says so where there is none.
# Usage: tests/python/free_threaded.sh BUILD_FOLDER     PYTHON: the interpreter, if not python3.14t or python3.13t
set -euo pipefail
build=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=${PYTHON:-$(command -v python3.14t || command -v python3.13t || true)}
if [ -z "$python" ]; then
  echo "skipped: no free-threaded Python (python3.14t, python3.13t) on the PATH"
  exit 0
fi
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

"$python" -m venv --without-pip "$stage"
python3 -m pip --python "$stage/bin/python" install -q --disable-pip-version-check pip # one that knows its tags
PATH=$stage/bin:$PATH
pin() { grep -h "^$1==" cmake/requirements-*.txt; }
install() { python -m pip install -q --disable-pip-version-check "$@"; }
install --only-binary :all: "$(pin numpy)" "$(pin pybind11)" "$(pin scikit-build-core)" "$(pin pytest)"
install --no-build-isolation --no-deps --config-settings=build-dir="$build/python-free-threaded" \
  --config-settings=cmake.define.ABYSSAL_PREBUILT="$build" ./bindings/python

python - <<'END'
import sys
import abyssal
assert not sys._is_gil_enabled(), "importing the package switched the lock on"
print(sys.version.split("\n")[0])
END
tests=()
for name in stress threads async async_calls generation views errors; do tests+=("tests/python/test_$name.py"); done
python -X faulthandler -m pytest -q -p no:cacheprovider "${tests[@]}"
