#!/usr/bin/env bash
# Builds the addon from what the npm package holds, with the command that its README names, as on a machine that the prebuilt
# one does not run on: installed in a folder without the repository, against a build of the library.
# Usage: tests/javascript/from_source.sh BUILD_FOLDER
set -euo pipefail
build=$(cd "$1" && pwd)
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
node=$(bash "$root/cmake/nodes.sh" | sed -n 1p)
npm=$(bash "$root/cmake/nodes.sh" --npm)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tarball=$(NODE=$node NPM=$npm bash "$root/bindings/javascript/pack.sh" "$build" "$work/packed")
# The npm and node of the command.
mkdir -p "$work/bin" "$work/app"
ln -s "$node" "$work/bin/node"
printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$node" "$npm" >"$work/bin/npm"
chmod +x "$work/bin/npm"
export PATH=$work/bin:$PATH npm_config_cache=$work/cache npm_config_userconfig=$work/npmrc
cd "$work/app"
echo '{"name": "app", "private": true}' >package.json
npm install --offline --silent --no-audit --no-fund "$tarball"
package=node_modules/abyssal
[ ! -e $package/build ] || {
  echo "npm install has built something"
  exit 1
}
# Without optimisation: it is enough that it builds and runs.
export CXXFLAGS="-O0 ${CXXFLAGS:-}"
if command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$work CCACHE_NOHASHDIR=1
fi
ABYSSAL_PREBUILT=$build npm explore abyssal -- npm run build
# Where there are two, what was built is taken.
node -e '
  require("abyssal");
  const addons = Object.keys(require("module")._cache).concat(process.report.getReport().sharedObjects);
  const loaded = addons.filter((name) => name.endsWith("abyssal.node"));
  if (!loaded.every((name) => name.includes("abyssal/build/"))) throw new Error(`loaded: ${loaded}`);
'
rm -r $package/prebuilds
node -e '
  const { Model } = require("abyssal");
  (async () => {
    const model = await Model.open(process.argv[1], { cacheTokens: 64 });
    const reply = await model.generate([5, 6, 7], { maxTokens: 3, temperature: 0, ignoreEos: true }).reply();
    if (reply.tokens.length !== 3) throw new Error(`${reply.tokens.length} tokens`);
  })();
' "$root/tests/data/conformance/tiny-v3"
echo "built from source: ok"
