#!/usr/bin/env bash
# Runs every stage of scripts/gpu-check without a GPU. The emulation replaces the device, and
# scripts in bin/ replace nvidia-smi, nvcc, CMake, compute-sanitizer, ncu, PyTorch and JAX.
# Everything runs in a copy in a temporary folder, including the report. This cannot test nvcc and a
# real device.
#
#   tests/gpu_check/rehearsal.sh BUILD_DIR
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/../.." && pwd)
REHEARSAL_BUILD=$(cd "$1" && pwd)
REHEARSAL_WORK=$(mktemp -d)
trap 'rm -rf "$REHEARSAL_WORK"' EXIT
export REHEARSAL_BUILD REHEARSAL_WORK PYTHON=$here/bin/python-with-torch CMAKE_GENERATOR='Unix Makefiles'
export OUT=$REHEARSAL_WORK/out ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0}
PATH=$here/bin:$PATH
copy=$REHEARSAL_WORK/ebb
mkdir -p "$copy/benchmarks" "$copy/docs/gpu" "$copy/tests/parity/data"
cp -r "$source/scripts" "$copy/"
cp -r "$source/benchmarks/gpu" "$copy/benchmarks/"
cp "$source/tests/parity/data/"{add,matmul}.safetensors "$copy/tests/parity/data/"

fail() {
  printf 'rehearsal: %s\n' "$*" >&2
  [ ! -e "$OUT/report.md" ] || cat "$OUT/report.md" >&2
  exit 1
}
# check NAME STATUS [FAULT=...] ARGUMENT...: runs scripts/gpu-check, which must end with this
# status.
check() {
  local status=0 name=$1 want=$2
  shift 2
  env "$1" "$copy/scripts/gpu-check" --commit stand-in "${@:2}" >"$REHEARSAL_WORK/log" 2>&1 </dev/null || status=$?
  [ "$status" -eq "$want" ] || {
    cat "$REHEARSAL_WORK/log" >&2
    fail "$name: expected status $want, got $status"
  }
}
has() { grep -qE -- "$1" "$report" || fail "the report has no line like: $1"; }
has_no() { ! grep -E -- "$1" "$report" >&2 || fail "the report has lines like: $1"; }

check 'all stages' 0 REHEARSAL_FAULT=none
reports=("$copy"/docs/gpu/*.md)
report=${reports[0]}
[[ ${#reports[@]} -eq 1 && $report == *-stand-in-emulated-on-the-host-without-a-gpu.md ]] || fail "reports: ${reports[*]}"
cmp "$report" "$OUT/report.md"
has '^# stand-in: emulated on the host without a GPU, '
has '^\| warnings of the compilers \| 1 \|$'
[ "$(grep -cE '^\| (build|tests|bench|profile|cpu|memcheck|racecheck|synccheck) \| passed \|' "$report")" -eq 8 ] || fail 'stages are missing'
grep -qx -- '-DCMAKE_CUDA_ARCHITECTURES=90-real' "$REHEARSAL_WORK/configured" || fail 'another architecture'
# Compares the counts of the tests and of the three tools with the lists of the programs.
count() { "$copy/build-gpu/tests/$1" --gtest_list_tests --gtest_filter='*' | grep -c '^  '; }
for program in cuda/ebb_cuda_tests ebb_autograd_tests cuda/ebb_gpu_examples_tests; do
  n=$(count "$program")
  [ "$n" -gt 0 ] || fail "$program lists no tests"
  has "^\| ${program#*/} \| $n \| $n \| 0 \| 0 \| 0 \|$"
done
[ "$(grep -cE "^\| ebb_cuda_tests \| $(count cuda/ebb_cuda_tests) \|" "$report")" -eq 4 ] || fail 'counts of the tools'
[ "$(grep -cE "^\| op_table \| $(count ebb_autograd_tests) \|" "$report")" -eq 3 ] || fail 'rows of the tools'
has '^\| own_cuda_kernel \| 1 \| 1 \| 0 \| 0 \| 0 \|$'
has '^Parity files on the device: .*[1-9][0-9]* cases'
has '^\| cpu \| 2 \| 1 \| 0 \| 1 \| 0 \|$'
has '^- without.data \(skipped\)$'
# The tables have one row per network and optimizer, with both times, and the ratios of 2 and 3 that
# the stand-ins for PyTorch and JAX give.
has '^From the 10th .* [0-9.]+ % of its median in the middle row, over [0-9.]+ % in the worst \([a-z]+ [a-z0-9_]+\)\.$'
has '^\| copy of .* GB/s \|$'
has '^\| matrix product 64\^3, f32 \|.* TFLOP/s \|$'
time=' [0-9.]+ \|'
steps="^\| mlp_[0-9_b]+ \| (sgd|adam) f32 \|($time){5} 2\.00 \|$time 2\.00 \| 3\.00 \|$time [0-9.]+ % \|$"
[ "$(grep -cE "$steps" "$report")" -eq 6 ] || fail 'rows of training steps'
[ "$(grep -cE "^\| [a-z_0-9]+x[0-9]+ \|($time){6} [0-9.]+ % \| [0-9.]+ % \|$" "$report")" -eq 14 ] || fail 'rows of losses'
[ "$(grep -cE "^\| lenet_b128 \| f32 \|($time){4} 2\.00 \|$" "$report")" -eq 1 ] || fail 'rows of layers'
has "^\| epoch_60000x784_mlp_784_128_10_b64 \| sgd f32 \|($time){3} 2\.00 \|$"
has '^\| an epoch of 60,000 pictures .* \| epoch_60000x784_mlp_784_128_10_b64 \| (yes|no) \|$'
has 'Compared with torch stand-in, CUDA none on the same card\. Compared with jax stand-in on the same card\. $'
has '^\| mlp_64_32_10_b32 \| `second\(float \*\)` \| 1 \| 9\.0 \| 80 \| 25 \| 4 \| 64 \| 1 \| 32,2 \|$'
has '^\| mlp_64_32_10_b32 \| `void ebb::first\(T1 \*, long\)` \| 2 \| 2\.5 \| 20 \| 50 \| 4 \| 32 \| 2112 \| 256 \|$'
has '^\| small MLP steps no slower than PyTorch captured \| 2\.00 times \| mlp_.* \| yes \|$'
has '^\| 4096-wide MLP with SGD .* \| not measured \|'
has_no 'Not run|\| not run \| \| \||nan |inf '
# OUT must contain few files and no folders, and enough to write the report on another machine.
[ "$(find "$OUT" -type f | wc -l)" -eq 2 ] || fail "files in OUT: $(find "$OUT" -type f)"
[ "$(find "$OUT" -size +16384k | wc -l)" -eq 0 ] || fail 'a large file in OUT'
cp "$report" "$REHEARSAL_WORK/first.md"
rm -rf "$copy/build-gpu/results" "$report"
tar -C "$copy/build-gpu" -xf "$OUT/results.tar.gz"
check 'the report from results.tar.gz' 0 REHEARSAL_FAULT=none report
cmp "$report" "$REHEARSAL_WORK/first.md" || fail 'another report from the same results'

# Every fault must be reported, and must not affect other results.
check 'a finding of racecheck' 1 REHEARSAL_FAULT=racecheck --rows 'few' racecheck report
has '^\| racecheck \| failed \|'
has 'Result: failed; [1-9][0-9]* findings'
has '^- [1-9][0-9]* times: Race reported .* at some_kernel'
check 'a kernel that is skipped' 1 REHEARSAL_FAULT=kernel tests report
has '^\| tests \| failed \|'
has '^- examples/extend/own_cuda_kernel$'
check 'a crash' 1 REHEARSAL_FAULT=crash tests report
n=$(count ebb_autograd_tests)
has "^\| ebb_autograd_tests \| $n \| 0 \| 0 \| 0 \| $n \|$"
has "^Run once more, each in a process of its own: $n of them pass alone"
check 'a benchmark that breaks off' 1 REHEARSAL_FAULT=bench bench report
has '^\| bench \| failed \|'
has '^- ebb-gpu-bench --group training: .*a stand-in that breaks off'
[ "$(grep -cE '^\| [a-z_0-9]+x[0-9]+ \| [0-9]' "$report")" -eq 14 ] || fail 'figures of other groups are lost'
check 'a build that fails' 1 REHEARSAL_FAULT=build
grep -q '^== build: failed' "$REHEARSAL_WORK/log" || fail 'the build did not fail'
! grep -q '^== tests' "$REHEARSAL_WORK/log" || fail 'tests without a build'
echo 'gpu_check/rehearsal: passed'
