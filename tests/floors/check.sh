#!/usr/bin/env bash
# Checks rules of the source tree that a compiler does not check. Prints each violation as
# file:line: problem.
#
#   tests/floors/check.sh [SOURCE_DIR]
#
#   1. Includes go only downwards: core <- backends <- autograd <- nn. Examples and tests may include everything.
#   2. Only backends/ includes vendor headers. Only onednn*.cpp include oneDNN (and the hand-written benchmark).
#   3. No file contains a path of one machine.
#   4. No source has more than 420 lines and no other file more than 450, unless it is listed here
#      with a reason.
#   5. No line of a source file has more than 100 columns.
set -euo pipefail

root=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
cd "$root"
source_pattern='\.(h|hpp|cpp|cu|cuh)$'
text_pattern='\.(h|hpp|cpp|cu|cuh|py|sh|cmake|in|txt|md|yml|yaml|json)$|^scripts/|^\.ci/'
max_lines=420
max_page_lines=450
long_files=(
)

failures=0
fail() {
  printf '%s\n' "$1"
  failures=$((failures + 1))
}

# The files of the project: those that Git knows, or all except build folders if this is not a
# checkout.
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  mapfile -t files < <(git ls-files --cached --others --exclude-standard)
else
  mapfile -t files < <(find . -type f -not -path './build*' -not -path './.git/*' -printf '%P\n')
fi
existing=()
for file in "${files[@]}"; do
  if [ -f "$file" ]; then existing+=("$file"); fi
done
mapfile -t sources < <(printf '%s\n' "${existing[@]}" | grep -E "$source_pattern" || true)
mapfile -t texts < <(printf '%s\n' "${existing[@]}" | grep -E "$text_pattern" || true)
if [ "${#sources[@]}" -lt 50 ]; then
  echo "only ${#sources[@]} source files found below $root: this check has lost its subject" >&2
  exit 1
fi

# lines_of FOLDER REGEX: prints file:line:text for the folder's lines that match.
lines_of() {
  local in_folder
  mapfile -t in_folder < <(printf '%s\n' "${sources[@]}" | grep -E "^$1/" || true)
  if [ "${#in_folder[@]}" -gt 0 ]; then grep -nHE "$2" "${in_folder[@]}" || true; fi
}

# 1. floor FOLDER ALLOWED: checks that quoted includes and <ebb/...> name only files of the allowed
#    folders.
floor() {
  local line path
  while IFS= read -r line; do
    [[ $line =~ include[[:space:]]*[\"\<]([^\"\>]+) ]]
    path=${BASH_REMATCH[1]}
    if [[ $path =~ ^ebb/($2)/ ]]; then continue; fi
    case ${line%%:*}:$path in
      # Formulas and rules become kernels in the file that uses them, so two headers include
      # kernels.
      autograd/ops/pointwise.h:ebb/backends/cpu/pointwise_kernels.h) continue ;;
      nn/optim/rule_optimizer.h:ebb/backends/cpu/rule_kernels.h) continue ;;
      # So do the lists of formulas and rules that nvcc compiles.
      autograd/ops/formulas/*.cu:ebb/backends/cuda/*) continue ;;
      nn/losses/formulas_*.cu:ebb/backends/cuda/* | nn/optim/rules.cu:ebb/backends/cuda/*) continue ;;
    esac
    fail "${line%%:*}:$(cut -d: -f2 <<<"$line"): $1 may include only ebb/{${2//|/,}}, not $path"
  done < <(lines_of "$1" '^[[:space:]]*#[[:space:]]*include[[:space:]]*("|<ebb/)')
}
floor core 'core'
floor backends 'core|backends'
floor autograd 'core|autograd'
floor nn 'core|autograd|nn'

# 2. Vendors.
vendor='^[[:space:]]*#[[:space:]]*include[[:space:]]*["<][^">]*'
while IFS= read -r line; do
  fail "$(cut -d: -f1,2 <<<"$line"): a vendor header above backends/: $(cut -d: -f3- <<<"$line")"
done < <(lines_of '(core|autograd|nn)' "${vendor}(dnnl|cublas|cuda|cudnn|mkl|mpi\.h)" | grep -vE '"ebb/(core/cuda\.h|backends/cuda/(cuda_backend|pointwise_kernels|rule_kernels)\.h)"')
while IFS= read -r line; do
  if [[ $line == backends/cpu/onednn*:* || $line == benchmarks/hand_mlp.h:* ]]; then continue; fi
  fail "$(cut -d: -f1,2 <<<"$line"): only backends/cpu/onednn* may include oneDNN"
done < <(lines_of '[^/]+' "${vendor}dnnl")

# 3. Paths. (The pattern is written so that it does not match itself.)
while IFS= read -r line; do
  fail "$(cut -d: -f1,2 <<<"$line"): a path of one machine: $(cut -d: -f3- <<<"$line" | cut -c1-100)"
done < <(grep -nHE '(^|[^A-Za-z0-9_.}~)-])/(work|tmp|home|root|mnt)(/|$|[^A-Za-z0-9_-])' "${texts[@]}" | grep -vE '^tests/floors/check\.sh:' || true)

# 4. Length.
while read -r lines file; do
  limit=$max_lines
  [[ $file =~ $source_pattern ]] || limit=$max_page_lines
  if [ "$lines" -le "$limit" ] || [ "$file" = total ]; then continue; fi
  for allowed in "${long_files[@]}"; do
    if [ "$file" = "$allowed" ]; then continue 2; fi
  done
  fail "$file:$lines: longer than $limit lines: split it, or list it in tests/floors/check.sh with a reason"
done < <(wc -l "${texts[@]}")
for allowed in "${long_files[@]}"; do
  if [ ! -f "$allowed" ] || [ "$(wc -l <"$allowed")" -le "$max_lines" ]; then
    fail "tests/floors/check.sh:1: $allowed is listed as a long file, but it is not long or does not exist"
  fi
done

# 5. Columns.
while IFS= read -r line; do
  fail "$line: longer than 100 columns"
done < <(LC_ALL=C.UTF-8 grep -nHE '^.{101,}$' "${sources[@]}" | cut -d: -f1,2 || true)

if [ "$failures" -gt 0 ]; then
  echo "floors: $failures violations found in ${#texts[@]} files"
  exit 1
fi
echo "floors: ${#sources[@]} sources and ${#texts[@]} texts follow the rules"
