# shellcheck shell=bash
# What scripts/train and scripts/test share: packages, configuring, building. To be sourced.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build
# shellcheck disable=SC2034  # the scripts use it
cores=$(getconf _NPROCESSORS_ONLN)
trap 'exit 130' INT
trap 'exit 143' TERM

# All packages, in one place: what for, its name in Debian and Ubuntu, and how to see that it is there without dpkg (one
# of some commands, a header, or a path).
package_table() {
  cat <<'END'
build      g++                    c++
build      cmake                  cmake
build      ninja-build            ninja,make
build      libdnnl-dev            <oneapi/dnnl/dnnl.hpp>
build      zlib1g-dev             <zlib.h>
build      nlohmann-json3-dev     <nlohmann/json.hpp>
examples   libcli11-dev           <CLI/CLI.hpp>
examples   libpng-dev             <png.h>
tests      libgtest-dev           <gtest/gtest.h>
tests      libboost-context-dev   <boost/context/detail/fcontext.hpp>
benchmarks python3                python3
benchmarks valgrind               valgrind
fashion    dataset-fashion-mnist  /usr/share/datasets/fashion-mnist
END
}

error() {
  printf 'error: %s\n' "$*" >&2
}

# quietly LABEL COMMAND...: says LABEL, runs the command, and shows what it wrote only when it fails; then exits with 1.
quietly() {
  local label=$1 output
  shift
  [ -z "$label" ] || printf '%s ...\n' "$label" >&2
  output=$("$@" 2>&1 </dev/null) && return
  printf '%s\n' "$output" | tail -n 60 >&2
  error "this failed: $*"
  exit 1
}

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# is_there PROBE: a probe of the table.
is_there() {
  local name
  case $1 in
    '<'*) printf '#include %s\n' "$1" | "${CXX:-c++}" -std=c++20 -x c++ -fsyntax-only - >/dev/null 2>&1 ;;
    /*) [ -e "$1" ] ;;
    *)
      for name in ${1//,/ }; do
        command -v "$name" >/dev/null && return
      done
      return 1
      ;;
  esac
}

# install_packages PURPOSE...: what is missing, with apt-get as root or by a sudo that asks nothing. Where that cannot be
# and the things are not there by other ways: one line that says what to install, and exit 1.
install_packages() {
  local purpose package probe as_root=() missing=() absent=()
  while read -r purpose package probe; do
    [[ " $* " == *" $purpose "* ]] || continue
    is_installed "$package" && continue
    missing+=("$package")
    is_there "$probe" || absent+=("$package")
  done < <(package_table)
  [ "${#missing[@]}" -gt 0 ] || return 0

  if command -v apt-get >/dev/null && { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }; then
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    as_root+=(env DEBIAN_FRONTEND=noninteractive)
    printf 'installing %s ...\n' "${missing[*]}" >&2
    "${as_root[@]}" apt-get update >/dev/null 2>&1 </dev/null || true  # lists that are there may do; installing tells
    quietly '' "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "${missing[@]}"
    return
  fi

  [ "${#absent[@]}" -gt 0 ] || return 0
  if command -v apt-get >/dev/null; then
    error "packages are missing; install them as root with: apt-get update && apt-get install -y --no-install-recommends ${absent[*]}"
  else
    error "install these first (the names are those of Debian's packages): ${absent[*]}"
  fi
  exit 1
}

# configure OPTION...: a Release build in build/.
configure() {
  local options=(-S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release "$@")
  if [ ! -e "$build/CMakeCache.txt" ] && [ -z "${CMAKE_GENERATOR:-}" ] && command -v ninja >/dev/null; then
    options+=(-G Ninja)
  fi
  quietly '' cmake "${options[@]}"
}

is_configured() {
  [ -e "$build/build.ninja" ] || [ -e "$build/Makefile" ]
}
