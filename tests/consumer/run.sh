#!/usr/bin/env bash
# Installs a built Ebb into an empty prefix. Builds consumer_project, the program of README.md and
# examples/extend against it, and runs them.
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
  echo "these files should not be installed: $strangers $(ls "$include")" >&2
  exit 1
fi
if [ "$(find "$work/prefix" -type f -exec grep -lF "$(cd "$here/../.." && pwd)/" {} + | grep -cvE '\.(a|so)' || true)" != 0 ]; then
  echo 'an installed text file contains the path of the source folder' >&2
  exit 1
fi

# build_outside FOLDER NAME [OPTION...]: builds a copy of the folder as a separate project against
# the installed Ebb.
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

# README.md says what its program prints.
cp -r "$here/consumer_project" "$work/readme_source"
awk '/^```cpp/ { code = 1; next } /^```/ && code { exit } code' "$here/../../README.md" >"$work/readme_source/main.cpp"
build_outside "$work/readme_source" readme
printed=$("$work/readme/build/consumer")
if [[ $printed != '[0, 1, 1, 0]'* ]]; then
  echo "the program of README.md prints: $printed" >&2
  exit 1
fi

# The same program without CMake, as docs/get-started.md builds it.
pc=$(find "$work/prefix" -name ebb.pc)
export PKG_CONFIG_PATH=${pc%/*}
[ "$(pkg-config --modversion ebb)" = "$(cached CMAKE_PROJECT_VERSION)" ]
# shellcheck disable=SC2046  # the flags are words
"$(cached CMAKE_CXX_COMPILER)" -O2 "$work/readme_source/main.cpp" -o "$work/by_pkg_config" $(pkg-config --cflags --libs ebb)
printed=$(LD_LIBRARY_PATH=$(pkg-config --variable=libdir ebb) "$work/by_pkg_config")
if [[ $printed != '[0, 1, 1, 0]'* ]]; then
  echo "the program of README.md, built by pkg-config, prints: $printed" >&2
  exit 1
fi

# The examples of docs/extending.md, in a debug build, which compares explicit gradients with derivatives.
build_outside "$here/../../examples/extend" extend -DCMAKE_BUILD_TYPE=Debug
ctest --test-dir "$work/extend/build" --no-tests=error --output-on-failure
echo 'consumer: passed'
