#!/usr/bin/env bash
# Installs what building and testing Abyssal needs on a fresh Debian machine, and nothing that is there already:
# compilers and libraries from Debian, Rust from Debian where there is none, Python packages into .venv, and for the
# Node.js package's tests a Node.js of .venv's own and npm packages beside the binding.
# Usage: cmake/setup.sh [--build-only]     --build-only: not what only the tests need
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(g++ cmake ninja-build make pkg-config python3-venv python3-dev nlohmann-json3-dev libcli11-dev libxxhash-dev)
requirements=(cmake/requirements-build.txt)
if [ "${1:-}" != --build-only ]; then
  packages+=(doctest-dev abigail-tools ccache clang libclang-rt-dev default-jdk-headless maven)
  requirements+=(cmake/requirements-test.txt)
fi

say() { printf 'setup: %s\n' "$*"; }
give_up() {
  printf 'setup: %s\n' "$@" >&2
  exit 1
}

# The oldest Rust that the text library builds with.
rust_is_there() {
  local version
  version=$(cargo --version 2>/dev/null | sed -n 's/^cargo \([0-9]*\)\.\([0-9]*\).*/\1 \2/p') || return 1
  [ -n "$version" ] || return 1
  set -- $version
  [ "$1" -gt 1 ] || [ "$2" -ge 88 ]
}

# A Java compiler of 17 or later, beside the java that is found first.
jdk_is_there() {
  command -v java >/dev/null || return 1
  local version
  version=$(javac -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p')
  [ -n "$version" ] && [ "$version" -ge 17 ]
}

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    # A compiler, CMake or Python may come from elsewhere than Debian.
    case $package in
    g++) command -v g++ >/dev/null && continue ;;
    cmake) cmake --version 2>/dev/null | grep -qE 'version (3\.(2[5-9]|[3-9][0-9])|[4-9])' && continue ;;
    ninja-build) command -v ninja >/dev/null && continue ;;
    make) command -v make >/dev/null && continue ;;
    pkg-config) command -v pkg-config >/dev/null && continue ;;
    ccache) command -v ccache >/dev/null && continue ;;
    abigail-tools) command -v abidiff >/dev/null && continue ;;
    clang | libclang-rt-dev) bash tests/fuzz/find_clang.sh >/dev/null && continue ;; # for the fuzzers alone
    default-jdk-headless) jdk_is_there && continue ;;
    maven) command -v mvn >/dev/null && continue ;;
    python3-venv) python3 -c 'import venv, ensurepip' 2>/dev/null && continue ;;
    python3-dev) python3 -c 'import os, sysconfig; raise SystemExit(not os.path.exists(sysconfig.get_paths()["include"] + "/Python.h"))' 2>/dev/null && continue ;;
    esac
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$package"
  done
  rust_is_there || printf 'cargo-web rustc-web '
}

install_packages() {
  local missing
  missing=$(missing_packages)
  missing=${missing% }
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null ||
    give_up "these Debian packages are missing, and there is no apt-get to install them: $missing" \
      "Install them by your system's own means and run this again. Rust: 1.88 or later."
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null ||
      give_up "these packages are missing, and you are not root: $missing" \
        "Run this, then try again:  sudo apt-get install $missing"
    as_root=(sudo)
  fi
  say "installing $missing"
  local log
  log=$(mktemp)
  # An old package list is often enough; it is fetched anew only when it is not.
  # shellcheck disable=SC2086
  if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >"$log" 2>&1; then
    "${as_root[@]}" apt-get update -q >>"$log" 2>&1 || true
    # shellcheck disable=SC2086
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >>"$log" 2>&1 || {
      tail -n 15 "$log" >&2
      give_up "apt-get could not install: $missing" "Its last lines are above. Is there a network, and a source with these packages?"
    }
  fi
  rm -f "$log"
}

python_version() { { .venv/bin/python -V || python3 -V; } 2>/dev/null; }

install_python_packages() {
  local stamp=.venv/abyssal-requirements wanted kept
  # A .venv of another version of Python has none of the packages.
  wanted=$(printf 'python==%s\n' "$(python_version)" && cat "${requirements[@]}" | grep -v '^#')
  if [ -x .venv/bin/python ] && [ -f "$stamp" ]; then
    # Every wanted line must be among those installed.
    [ -z "$(printf '%s\n' "$wanted" | grep -vxFf "$stamp" || true)" ] && return 0
  fi
  python3 -c 'import sys; raise SystemExit(sys.version_info < (3, 9))' ||
    give_up "Python 3.9 or later is needed; python3 is $(python3 --version 2>&1)"
  .venv/bin/python -c 'import pip' 2>/dev/null || python3 -m venv --clear .venv
  say "installing Python packages into .venv"
  local arguments=() file
  for file in "${requirements[@]}"; do arguments+=(-r "$file"); done
  .venv/bin/python -m pip install -q --disable-pip-version-check "${arguments[@]}" ||
    give_up "pip could not install the packages of ${requirements[*]} into .venv; its message is above."
  # What was installed before stays in the stamp, unless it is another version of what was installed now.
  kept=$(awk -F== 'NR == FNR { now[$1]; next } !($1 in now)' <(printf '%s\n' "$wanted") <(cat "$stamp" 2>/dev/null || true))
  printf '%s\n' "$wanted" ${kept:+"$kept"} >"$stamp"
}

install_node_packages() {
  local folder=bindings/javascript stamp
  stamp=$folder/node_modules/abyssal-lock
  cmp -s "$folder/package-lock.json" "$stamp" && return 0
  local node npm
  node=$(bash cmake/nodes.sh | sed -n 1p)
  [ -n "$node" ] || give_up "there is no Node.js 20 or later, and none in .venv"
  npm=$(bash cmake/nodes.sh --npm)
  say "installing npm packages into $folder/node_modules"
  (cd "$folder" && "$node" "$npm" ci --ignore-scripts --no-audit --no-fund --silent) ||
    give_up "npm could not install the packages of $folder/package-lock.json; its message is above."
  cp "$folder/package-lock.json" "$stamp"
}

[ "$(uname -m)" = x86_64 ] || give_up "Abyssal's CPU backend runs on x86-64; this machine is $(uname -m)."
install_packages
install_python_packages
if [ "${1:-}" != --build-only ]; then install_node_packages; fi
