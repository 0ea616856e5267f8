#!/usr/bin/env bash
# Installs what is missing, builds, and answers a prompt with streamed text.
# Usage: examples/quickstart.sh [MODEL_FOLDER [PROMPT]]
set -euo pipefail
model=${1:-}
[ -z "$model" ] || model=$(realpath -- "$model")
prompt=${2:-"Explain in one sentence what a mixture of experts is."}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash cmake/setup.sh --build-only
export PATH="$PWD/.venv/bin:$PATH"

echo "building (a few minutes the first time)"
log=build/quickstart.log
mkdir -p build
{
  cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DABYSSAL_EXAMPLES=ON -DABYSSAL_RUST_TARGET="$PWD/build/rust" \
    -DABYSSAL_TESTS=$([ -f build/CTestTestfile.cmake ] && echo ON || echo OFF) &&
    cmake --build build --target abyssal_cli &&
    { python -c 'import abyssal' 2>/dev/null ||
      python -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps \
        --config-settings=cmake.define.ABYSSAL_PREBUILT="$PWD/build" ./bindings/python; }
} >"$log" 2>&1 || {
  tail -n 30 "$log" >&2
  echo "the build failed; its last lines are above, all of them in $log" >&2
  exit 1
}

limit=()
if [ -z "$model" ]; then
  model=tests/data/conformance/tiny-v3
  limit=(--max-tokens 48)
  cat <<'NOTE'

No model was given, so this asks a tiny DeepSeek-V3 whose weights are random: what follows is noise. To ask a real one:
  bash examples/quickstart.sh /path/to/DeepSeek-V2-Lite-Chat
  build/bin/abyssal chat /path/to/DeepSeek-V2-Lite-Chat
NOTE
fi
printf '\n> %s\n\n' "$prompt"
build/bin/abyssal run "$model" -p "$prompt" "${limit[@]}"
