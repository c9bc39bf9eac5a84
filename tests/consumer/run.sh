#!/usr/bin/env bash
# Installs a built Ebb into an empty prefix, builds consumer_project against it and runs it.
#
#   tests/consumer/run.sh BUILD_DIR
set -euo pipefail

build=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cached() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }

cmake --install "$build" --prefix "$work/prefix" >"$work/install.log"

include=$work/prefix/include/ebb
for floor in core backends autograd nn; do
  while IFS= read -r header; do
    if [ ! -f "$include/$header" ]; then
      echo "not installed: $header" >&2
      exit 1
    fi
  done < <(cd "$here/../.." && find "$floor" -name '*.h')
done
strangers=$(find "$include" -type f ! -name '*.h')
if [ -n "$strangers" ] || [ -e "$include/tests" ] || [ -e "$include/examples" ]; then
  echo "installed, and should not be: $strangers $(ls "$include")" >&2
  exit 1
fi
if [ "$(find "$work/prefix" -type f -exec grep -lF "$(cd "$here/../.." && pwd)/" {} + | grep -cvE '\.(a|so)' || true)" != 0 ]; then
  echo 'an installed text file names the source folder' >&2
  exit 1
fi

# build_outside FOLDER NAME: a copy of the folder, built as a project of its own against the installed Ebb.
build_outside() {
  cp -r "$1" "$work/$2"
  cmake -S "$work/$2" -B "$work/$2/build" -G "$(cached CMAKE_GENERATOR)" -DCMAKE_PREFIX_PATH="$work/prefix" \
    -DCMAKE_CXX_COMPILER="$(cached CMAKE_CXX_COMPILER)" "${@:3}" >"$work/$2.log" 2>&1 &&
    cmake --build "$work/$2/build" --parallel 2 >>"$work/$2.log" 2>&1 || {
    cat "$work/$2.log" >&2
    exit 1
  }
}

build_outside "$here/consumer_project" consumer
"$work/consumer/build/consumer"
# The examples of docs/extending.md, in a debug build: gradients given by hand are checked there.
build_outside "$here/../../examples/extend" extend -DCMAKE_BUILD_TYPE=Debug
ctest --test-dir "$work/extend/build" --no-tests=error --output-on-failure
echo 'consumer: passed'
