#!/usr/bin/env bash
# Installs what is missing, builds, and answers a prompt with streamed text.
# Usage: examples/quickstart.sh [MODEL_FOLDER [PROMPT]]
set -euo pipefail
model=${1:-}
[ -z "$model" ] || model=$(realpath -- "$model")
prompt=${2:-}
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

if [ -z "$model" ]; then
  prompt=${prompt:-"A baker puts 12 rolls into each of 7 boxes. He eats 5 of them. How many rolls are left?"}
  printf '\nNo model was given, so this asks abyssal-tiny-r1, which comes along: 8.5 M parameters, arithmetic only.\n'
  say=(build/bin/abyssal run)
else
  prompt=${prompt:-"Explain in one sentence what a mixture of experts is."}
  say=(build/bin/abyssal run "$model")
fi
printf '\n> %s\n\n' "$prompt"
"${say[@]}" -p "$prompt"
[ -n "$model" ] || cat <<'NOTE'

Talk to it with `build/bin/abyssal chat`, or ask a larger one:
  bash examples/quickstart.sh /path/to/DeepSeek-V2-Lite-Chat
  build/bin/abyssal chat /path/to/DeepSeek-V2-Lite-Chat
NOTE
