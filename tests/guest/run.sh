#!/usr/bin/env bash
# Configures a project that contains Ebb, compiles against its headers, and installs it. Ebb must change nothing in the project
# and must install nothing.
#
#   tests/guest/run.sh BUILD_DIR
set -euo pipefail

build=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  cat "$work/log" >&2
  printf 'guest: %s\n' "$*" >&2
  exit 1
}
cached() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }

for type in MinSizeRel ''; do
  rm -rf "$work/build"
  cmake -S "$here/parent" -B "$work/build" -G "$(cached CMAKE_GENERATOR)" -DEBB_SOURCE="$(cd "$here/../.." && pwd)" \
    -DCMAKE_CXX_COMPILER="$(cached CMAKE_CXX_COMPILER)" -DEBB_ONEDNN="$(cached EBB_ONEDNN)" -DCMAKE_BUILD_TYPE="$type" \
    -DCMAKE_INSTALL_PREFIX="$work/prefix" >"$work/log" 2>&1 || fail 'the parent cannot be configured'
  for line in "CMAKE_BUILD_TYPE=[$type]" 'CMAKE_CXX_FLAGS=[]' 'CMAKE_CXX_STANDARD=[]' 'CMAKE_MODULE_PATH=[]' \
    'CMAKE_POSITION_INDEPENDENT_CODE=[]' 'tests=[]' 'languages=[CXX]'; do
    grep -qxF -- "-- parent: $line" "$work/log" || fail "not left as it was: expected $line"
  done
done

cmake --build "$work/build" --target app ebb_core --parallel 2 >"$work/log" 2>&1 || fail 'the parent cannot be built'
cmake --install "$work/build" >"$work/log" 2>&1 || fail 'the parent cannot be installed'
installed=$(cd "$work/prefix" && find . -type f)
[ "$installed" = ./share/parent/app.cpp ] || fail "these files are installed: $installed"
echo 'guest: passed'
