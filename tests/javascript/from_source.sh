#!/usr/bin/env bash
# Builds the addon from what the npm package holds, as on a machine that the prebuilt one does not run on: in a folder
# without the repository, against a build of the library.
# Usage: tests/javascript/from_source.sh BUILD_FOLDER
set -euo pipefail
build=$(cd "$1" && pwd)
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
node=$(bash "$root/cmake/nodes.sh" | sed -n 1p)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tarball=$(NODE=$node NPM=$(bash "$root/cmake/nodes.sh" --npm) bash "$root/bindings/javascript/pack.sh" "$build" "$work")
tar -xzf "$tarball" -C "$work"
cd "$work/package"
# Without optimisation: it is enough that it builds and runs.
export CXXFLAGS="-O0 ${CXXFLAGS:-}"
if command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$work CCACHE_NOHASHDIR=1
fi
ABYSSAL_BUILD_FROM_SOURCE=1 ABYSSAL_PREBUILT=$build "$node" install.cjs
[ ! -e prebuilds ] || {
  echo "the prebuilt addon is still there"
  exit 1
}
"$node" -e '
  const { Model } = require(".");
  (async () => {
    const model = await Model.open(process.argv[1], { cacheTokens: 64 });
    const reply = await model.generate([5, 6, 7], { maxTokens: 3, temperature: 0, ignoreEos: true }).reply();
    if (reply.tokens.length !== 3) throw new Error(`${reply.tokens.length} tokens`);
  })();
' "$root/tests/data/conformance/tiny-v3"
echo "built from source: ok"
