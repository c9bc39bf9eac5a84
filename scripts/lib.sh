# shellcheck shell=bash
# Functions that the scripts share: installing packages, configuring, building. This file is
# sourced.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build
# shellcheck disable=SC2034  # the scripts use it
cores=$(getconf _NPROCESSORS_ONLN)
trap 'exit 130' INT
trap 'exit 143' TERM

# Prints all packages that Ebb uses, one per line: the purpose, the name in Debian and Ubuntu, and a
# probe that finds the package without dpkg. A probe is a list of commands of which one has to
# exist, a header, or a path.
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
tests      pkg-config             pkg-config
tests      libboost-context-dev   <boost/context/detail/fcontext.hpp>
mpi        libopenmpi-dev         mpicc.openmpi
mpi        openmpi-bin            mpirun.openmpi
mpi        libmpich-dev           mpicc.mpich
mpi        mpich                  mpirun.mpich
benchmarks python3                python3
benchmarks valgrind               valgrind
fashion    dataset-fashion-mnist  /usr/share/datasets/fashion-mnist
END
}

error() {
  printf 'error: %s\n' "$*" >&2
}

# quietly LABEL COMMAND...: prints LABEL and runs the command. If it fails, prints the end of its
# output and exits with 1.
quietly() {
  local label=$1 output
  shift
  [ -z "$label" ] || printf '%s ...\n' "$label" >&2
  output=$("$@" 2>&1 </dev/null) && return
  printf '%s\n' "$output" | tail -n 60 >&2
  error "this failed: $*"
  exit 1
}

# minutes SECONDS: prints a duration for people.
minutes() {
  if [ "$1" -lt 90 ]; then printf '%s s\n' "$1"; else printf '%s min\n' "$((($1 + 30) / 60))"; fi
}

# show_progress LABEL LOG: copies the output of a build from standard input to LOG, and prints how
# many of its steps are done and how long the others will take. In a terminal one line is updated;
# elsewhere a line is printed every minute.
show_progress() {
  local label=$1 log=$2 line steps='' rest='' start=$SECONDS printed=$SECONDS status finished all
  while true; do
    status=0
    IFS= read -r -t 10 line || status=$?
    [ "$status" -ne 0 ] || printf '%s\n' "$line" >>"$log"
    if [ "$status" -gt 128 ]; then
      printf '%s' "$line" >>"$log"  # a timeout: the line may continue
    elif [ "$status" -ne 0 ]; then
      printf '%s' "$line" >>"$log"
      break
    fi
    if [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]]; then
      finished=${BASH_REMATCH[1]} all=${BASH_REMATCH[2]}
      steps="$finished of $all steps"
      if [ "$((SECONDS - start))" -ge 20 ] && [ "$finished" -gt 0 ]; then
        rest=", about $(minutes $(((SECONDS - start) * (all - finished) / finished))) left"
      fi
    elif [[ $line =~ ^\[\ *([0-9]+)%\] ]]; then
      steps="${BASH_REMATCH[1]} %"
    fi
    if [ -t 2 ]; then
      printf '\r%s: %s%s\033[K' "$label" "${steps:-started}" "$rest" >&2
    elif [ "$((SECONDS - printed))" -ge 60 ]; then
      printed=$SECONDS
      printf '%s: %s%s\n' "$label" "${steps:-running for $(minutes $((SECONDS - start)))}" "$rest" >&2
    fi
  done
  [ ! -t 2 ] || printf '\r\033[K' >&2
  if [ "$((SECONDS - start))" -ge 5 ]; then printf '%s: took %s\n' "$label" "$(minutes $((SECONDS - start)))" >&2; fi
}

# build_targets LABEL [TARGET...]: builds the targets, or everything, and shows the progress. If the
# build fails, prints the end of its output and exits with 1.
build_targets() {
  local label=$1 log options=(--build "$build" --parallel "$cores")
  shift
  [ $# -eq 0 ] || options+=(--target "$@")
  log=$(mktemp)
  printf '%s in %s with %s cores ...\n' "$label" "${build#"$PWD"/}" "$cores" >&2
  if cmake "${options[@]}" 2>&1 </dev/null | show_progress "$label" "$log"; then
    rm -f "$log"
    return
  fi
  tail -n 60 "$log" >&2
  rm -f "$log"
  error "this failed: cmake ${options[*]}"
  exit 1
}

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# is_there PROBE: true if a probe of package_table finds its package.
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

# install_packages PURPOSE...: installs missing packages with apt-get, as root or by a sudo that
# needs no password. If that is not possible and the probes do not find the packages either, prints
# which ones to install and exits with 1.
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
    "${as_root[@]}" apt-get update >/dev/null 2>&1 </dev/null || true  # an old package list may suffice; the install reports errors
    quietly '' "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "${missing[@]}"
    return
  fi

  [ "${#absent[@]}" -gt 0 ] || return 0
  if command -v apt-get >/dev/null; then
    error "packages are missing; install them as root with: apt-get update && apt-get install -y --no-install-recommends ${absent[*]}"
  else
    error "install these packages first (by their names in Debian): ${absent[*]}"
  fi
  exit 1
}

# configure OPTION...: configures a Release build in build/, in which warnings are errors.
configure() {
  local options=(-S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release -DEBB_WERROR=ON "$@")
  if [ ! -e "$build/CMakeCache.txt" ] && [ -z "${CMAKE_GENERATOR:-}" ] && command -v ninja >/dev/null; then
    options+=(-G Ninja)
  fi
  quietly '' cmake "${options[@]}"
}

is_configured() {
  [ -e "$build/build.ninja" ] || [ -e "$build/Makefile" ]
}
