# shellcheck shell=bash
# Functions of the stages of scripts/gpu-check: describing the machine, running and counting tests,
# copying results. This file is sourced after lib.sh.
# shellcheck disable=SC2154  # scripts/gpu-check sets results, build, python, commit, stage_results and stage_seconds

# pack DIR: copies GoogleTest, nlohmann-json, CLI11, zlib and libpng to DIR, for CMAKE_PREFIX_PATH.
# DIR can be moved.
pack() {
  local to=$1 work package file
  install_packages build examples tests
  mkdir -p "$to/include" "$to/lib" "$to/share/cmake"
  to=$(cd "$to" && pwd)
  work=$(mktemp -d)
  quietly '' cmake -S /usr/src/googletest -B "$work" -DCMAKE_BUILD_TYPE=Release -DBUILD_GMOCK=OFF \
    -DCMAKE_INSTALL_PREFIX="$to" -DCMAKE_INSTALL_LIBDIR=lib
  quietly 'building GoogleTest' cmake --build "$work" --parallel "$cores"
  quietly '' cmake --install "$work"
  rm -rf "$work"
  for package in nlohmann-json3-dev libcli11-dev zlib1g-dev libpng-dev; do
    while IFS= read -r file; do
      [ -f "$file" ] || continue
      case $file in
        */zconf.h) install -D -m 644 "$file" "$to/include/zconf.h" ;;
        /usr/include/*) install -D -m 644 "$file" "$to/include/${file#/usr/include/}" ;;
        */libz.a | */libpng16.a) install -D -m 644 "$file" "$to/lib/${file##*/}" ;;
        /usr/share/cmake/*) install -D -m 644 "$file" "$to/share/cmake/${file#/usr/share/cmake/}" ;;
      esac
    done < <(dpkg -L "$package")
  done
  du -sh "$to"
}

say() {
  printf '%s\n' "$*" >&2
}

# Prints the commit that the programs were built from.
current_commit() {
  local id
  if [ -n "$commit" ]; then
    printf '%s\n' "$commit"
  elif id=$(git -C "$root" rev-parse --short=12 HEAD 2>/dev/null); then
    [ -z "$(git -C "$root" status --porcelain -- . ':!docs/gpu' 2>/dev/null)" ] || id="$id with changes"
    printf '%s\n' "$id"
  else
    printf 'not known (no Git checkout)\n'
  fi
}

# Prints the card and its software as key=value lines.
machine() {
  local query=name,driver_version,compute_cap,memory.total name driver capability memory
  IFS=, read -r name driver capability memory < <(
    nvidia-smi -i 0 "--query-gpu=$query" --format=csv,noheader 2>/dev/null
  ) || true
  printf 'card=%s\ndriver=%s\n' "${name:-none}" "${driver# }"
  printf 'capability=%s\nmemory=%s\n' "${capability# }" "${memory# }"
  printf 'cuda=%s\n' "$(nvcc --version 2>/dev/null | sed -n 's/.*release .*, V//p')"
  printf 'compiler=%s\ncores=%s\n' "$("${CXX:-c++}" --version | head -n 1)" "$cores"
}

# If the toolkit lacks cuBLASLt, makes the header and library of PyTorch's packages available to
# compiler and programs.
use_cublas_of_python() {
  local nvcc header
  nvcc=$(command -v nvcc) || return 0
  [ ! -e "$(dirname "$(realpath "$nvcc")")/../include/cublasLt.h" ] || return 0
  header=$("$python" -c 'import glob, nvidia
print(next(h for d in nvidia.__path__ for h in glob.glob(d + "/*/include/cublasLt.h")))' 2>/dev/null) || return 0
  say "cuBLASLt: ${header%/include/*}"
  export CPATH=${header%/*}${CPATH:+:$CPATH}
  export LD_LIBRARY_PATH=${header%/include/*}/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
}

value_of() {
  sed -n "s/^$2=//p" "$1" 2>/dev/null
}

require_build() {
  if [ ! -e "$build/built" ]; then
    error "build first: scripts/gpu-check build"
    exit 1
  fi
}

# left UNTIL: prints the seconds until then, at least one.
left() {
  printf '%s\n' "$((SECONDS < $1 ? $1 - SECONDS : 1))"
}

# part N OF: prints the fraction N / OF of the time limit of a stage.
part() {
  printf '%s\n' "$((stage_seconds * $1 / $2))"
}

# count_listed PROGRAM FILTER: prints the number of tests that match.
count_listed() {
  "$1" --gtest_list_tests --gtest_filter="$2" | grep -c '^  ' || true
}

# run_sharded LOGS SECONDS SHARDS PROGRAM FILTER [WRAPPER...]: runs a GoogleTest program in several
# processes at once, with logs in LOGS.N.log. With one process per test, creating CUDA contexts
# would take most of the time.
run_sharded() {
  local logs=$1 seconds=$2 shards=$3 program=$4 filter=$5 i
  shift 5
  for ((i = 0; i < shards; ++i)); do
    GTEST_TOTAL_SHARDS=$shards GTEST_SHARD_INDEX=$i OMP_WAIT_POLICY=passive \
      timeout -k 5 "$seconds" "$@" "$program" --gtest_filter="$filter" >"$logs.$i.log" 2>&1 </dev/null &
  done
  wait
}

# shards_for TESTS: prints the number of processes for so many tests.
shards_for() {
  local most=$((cores < 8 ? cores : 8)) shards=$(($1 / 4 + 1))
  printf '%s\n' "$((shards < most ? shards : most))"
}

# count_results LABEL TOTAL LOG...: prints "LABEL TOTAL PASSED FAILED SKIPPED NOT_RUN". A test that
# did not end counts as failed. The names of tests that did not pass are added to the stage's file
# not_passed.
count_results() {
  local label=$1 total=$2
  shift 2
  cat "$@" | awk -v label="$label" -v total="$total" -v names="$stage_results/not_passed" '
    function note(name, how) { print name " (" how ")" >> names }
    /^\[ RUN      \] / { if (open != "") { ++failed; note(open, "did not end") } ++run; open = $4 }
    /^\[       OK \] .*ms\)$/ { ++passed; open = "" }
    /^\[  FAILED  \] .*ms\)$/ { ++failed; note($4, "failed"); open = "" }
    /^\[  SKIPPED \] .*ms\)$/ { ++skipped; note($4, "skipped"); open = "" }
    END {
      if (open != "") { ++failed; note(open, "did not end") }
      print label, total, passed + 0, failed + 0, skipped + 0, total - run
    }'
}

# run_alone SECONDS PROGRAM FILTER LOG...: runs each test that did not pass in a process of its own,
# because an error of the device fails every later test of its process. Adds "NAME: passes alone" or
# "NAME: fails alone" to the stage's file alone. Runs at most 100 tests.
run_alone() {
  local seconds=$1 program=$2 filter=$3
  shift 3
  # shellcheck disable=SC2016  # the inner shell's variables
  comm -23 \
    <("$program" --gtest_list_tests --gtest_filter="$filter" | sed 's/ *#.*//' |
      awk '/^  / { print suite $1; next } { suite = $1 }' | sort) \
    <(sed -n 's/^\[       OK \] \(.*\) ([0-9]* ms)$/\1/p' "$@" | sort) |
    sed -n '1,100p' | timeout -k 5 "$seconds" xargs -r -P 8 -I{} bash -c '
      if timeout -k 5 20 "$1" --gtest_filter="$2" >"$3/alone.$$.log" 2>&1 </dev/null &&
        grep -q "^\[  PASSED  \] 1 test" "$3/alone.$$.log"; then
        printf "%s: passes alone\n" "$2"
        rm "$3/alone.$$.log"
      else
        printf "%s: fails alone\n" "$2"
      fi' _ "$program" {} "$stage_results" >>"$stage_results/alone" || true
}

# all_passed FILE: returns 0 if there are counts and all tests in each line passed.
all_passed() {
  [ -s "$1" ] && awk '$2 != $3 || $2 == 0 { bad = 1 } END { exit bad }' "$1"
}

# hand_out: writes the results so far to the folder OUT: the report, and one archive with the last
# MiB of each file. Few and small files, because the folder may be limited.
hand_out() {
  local copy file
  [ -n "${OUT:-}" ] || return 0
  mkdir -p "$OUT"
  copy=$(mktemp -d)
  cp -r "$results" "$copy/results"
  while IFS= read -r file; do
    tail -c 1048576 "$file" >"$copy/end"
    mv "$copy/end" "$file"
  done < <(find "$copy/results" -type f -size +1024k)
  tar -C "$copy" -czf "$copy/results.tar.gz" results
  mv "$copy/results.tar.gz" "$OUT/results.tar.gz"
  rm -rf "$copy"
  if report_is_possible 2>/dev/null; then write_report >"$OUT/report.md"; fi
}
