#!/usr/bin/env bash
# Runs the scenario in C, C++, Python, JavaScript and Java, and compares the five transcripts. Every driver uses the
# package as it is installed: the Python package of the path's python, what tests/javascript/run.sh and tests/java/run.sh
# have left in the build folder, and for C and C++ an installation made here.
# Usage: tests/bindings/run.sh BUILD_FOLDER [--refresh]     --refresh: writes expected.txt anew
set -euo pipefail
export LC_ALL=C.UTF-8 # errors hold the operating system's words
build=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
app=$build/node/app
jars=$(printf '%s:' "$build"/java/library/target/abyssal-*.jar)
[ -d "$app/node_modules/abyssal" ] || {
  echo "$app holds no package; run tests/javascript/run.sh first" >&2
  exit 1
}
[ -f "${jars%%:*}" ] || {
  echo "there are no jars in $build/java/library/target; run tests/java/run.sh first" >&2
  exit 1
}

work=$build/scenario
rm -rf "$work"
mkdir -p "$work/files" "$work/classes"
python "$here/flatten.py" "$work/files"

for component in library development; do
  cmake --install "$build" --prefix "$work/prefix" --component "$component" >/dev/null
done
libdir=$(dirname "$(find "$work/prefix" -name libabyssal.so)")
read -r -a flags <<<"$(PKG_CONFIG_PATH=$libdir/pkgconfig pkg-config --cflags --libs abyssal)"
flags+=(-Wl,-rpath,"$libdir" -pthread -Wall -Wextra -Wpedantic -Werror)
"${CC:-cc}" -std=c11 "$here"/scenario_c*.c -o "$work/scenario_c" "${flags[@]}"
"${CXX:-c++}" -std=c++17 "$here"/scenario_cpp*.cpp -o "$work/scenario_cpp" "${flags[@]}"
javac -Xlint:all -Werror -d "$work/classes" -cp "$jars" "$here"/*.java
cp "$here/scenario_node.mjs" "$app/"

# tell LANGUAGE PROGRAM...: the files that the steps name are in its working folder.
tell() {
  local language=$1
  shift
  (cd "$work/files" && "$@" "$language.steps") >"$work/$language.txt" || {
    tail -n 3 "$work/$language.txt"
    echo "the driver for $language ended with an error" >&2
    exit 1
  }
}
tell c "$work/scenario_c"
tell cpp "$work/scenario_cpp"
tell python python "$here/scenario_python.py"
tell javascript "$(bash "$root/cmake/nodes.sh" | sed -n 1p)" "$app/scenario_node.mjs"
tell java java -cp "$jars$work/classes" ScenarioJava
python "$here/transcripts.py" "$work" "$@"
