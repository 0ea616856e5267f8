#!/usr/bin/env bash
# Packs the npm package from a build of Abyssal with -DABYSSAL_NODE=ON: the stripped addon and library, what building
# the addon from source takes, and the licences of all of it. Prints the tarball's path.
# Usage: pack.sh BUILD_FOLDER OUTPUT_FOLDER     NODE and NPM: the program, and npm's script, if not those of PATH
set -euo pipefail
build=$(cd "$1" && pwd)
mkdir -p "$2"
output=$(cd "$2" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
made=$build/bindings/javascript/made
modules=$here/node_modules
node=${NODE:-node}
npm=${NPM:-$(readlink -f "$(command -v npm)")}
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

for name in lib src build.cjs CMakeLists.txt package.json README.md; do cp -r "$here/$name" "$stage/"; done
cp "$made/structs.d.ts" "$stage/lib/"
cp "$root/LICENSE" "$stage/"
# Of a user's package.json: no tools of ours.
version=$(sed -n 's/^project(abyssal VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")
"$node" -e '
  const [file, version] = process.argv.slice(1), fs = require("node:fs");
  const { devDependencies, ...rest } = JSON.parse(fs.readFileSync(file));
  fs.writeFileSync(file, JSON.stringify({ ...rest, version }, null, 2) + "\n");
' "$stage/package.json" "$version"

# For building from source: SWIG's output, and the headers.
mkdir -p "$stage/packed/include"
cp "$made/abyssal_wrap.cpp" "$made/struct_fields.h" "$stage/packed/"
cp -r "$root/include/abyssal" "$stage/packed/include/"
cp "$modules"/node-addon-api/napi*.h "$modules"/node-api-headers/include/*.h "$stage/packed/include/"

# The library and what travels with it, as their sonames: packages hold no links.
prebuilt=$stage/prebuilds/linux-x64
mkdir -p "$prebuilt"
cmake --install "$build" --prefix "$stage/installed" --component library --strip >/dev/null
find "$stage/installed" -name 'lib*.so.*' | while read -r library; do
  soname=$(readelf -d "$library" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
  [ "$(basename "$library")" != "$soname" ] || cp -L "$library" "$prebuilt/$soname"
done
cmake --install "$build" --prefix "$stage/installed" --component node --strip >/dev/null
cp "$stage/installed/abyssal.node" "$prebuilt/"
strip --strip-unneeded "$prebuilt"/* # oneDNN's wheel holds symbols
python3 "$root/cmake/licences.py" node-addon-api="$modules/node-addon-api/LICENSE.md" \
  node-api-headers="$modules/node-api-headers/LICENSE" >"$stage/LICENSES.txt"

rm -rf "$stage/installed"

cd "$stage"
"$node" "$npm" pack --silent --ignore-scripts --pack-destination "$output" >/dev/null
echo "$output/abyssal-$version.tgz"
