#!/usr/bin/env bash
# Packs the Node.js package from a build with -DABYSSAL_NODE=ON, installs the tarball into a clean folder without a network,
# and runs the tests there, with every Node.js that is here: 20 and 22 where the machine has the one and .venv the other.
# Usage: tests/javascript/run.sh BUILD_FOLDER [TEST...]     TEST: names such as generation; default: all
set -euo pipefail
build=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
mapfile -t nodes < <(bash "$root/cmake/nodes.sh")
[ ${#nodes[@]} -gt 0 ] || {
  echo "there is no Node.js 20 or later; cmake/setup.sh installs one into .venv" >&2
  exit 1
}
npm=$(bash "$root/cmake/nodes.sh" --npm)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# npm's settings and caches stay out of it.
export ABYSSAL_ROOT=$root npm_config_cache=$work/cache npm_config_userconfig=$work/npmrc
app=$build/node/app # stays: tests/bindings/run.sh uses it too
rm -rf "$app"
mkdir -p "$app"
tarball=$(NODE=${nodes[0]} NPM=$npm bash "$root/bindings/javascript/pack.sh" "$build" "$work/packed")
echo "$(basename "$tarball"): $(($(stat -c %s "$tarball") / 1024 / 1024)) MiB"
cd "$app"
echo '{"name": "app", "private": true}' >package.json
"${nodes[0]}" "$npm" install --offline --silent --no-audit --no-fund "$tarball"
cp "$here"/*.mjs "$here"/*.ts "$root/tests/bench/bindings_node.mjs" .

files=()
for test in "$@"; do files+=("$test.test.mjs"); done
[ ${#files[@]} -gt 0 ] || files=(*.test.mjs)
for node in "${nodes[@]}"; do
  echo "Node.js $("$node" -p process.version)"
  "$node" --expose-gc --test --test-concurrency=1 --test-reporter=dot "${files[@]}"
done
# What the benchmarks ask of this language.
printf 'decode 4\nlogits 4\ncycles 1\nreplies 1 4\n' |
  "${nodes[0]}" --expose-gc bindings_node.mjs "$root/tests/data/conformance/tiny-v2-lite" >/dev/null
