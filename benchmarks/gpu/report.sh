# shellcheck shell=bash
# The report of scripts/gpu-check, from what its stages left in $results. To be sourced.
# shellcheck disable=SC2154  # the script that sources it sets root, results and build

# counts_table FILE...: lines of counts as rows of a table.
counts_table() {
  printf '| tests | in all | passed | failed | skipped | not run |\n| --- | ---: | ---: | ---: | ---: | ---: |\n'
  cat "$@" | awk '{ print "| " $1 " | " $2 " | " $3 " | " $4 " | " $5 " | " $6 " |" }'
}

# not_passed STAGE: the names, in full up to 40.
not_passed() {
  local file=$results/$1/not_passed
  [ -s "$file" ] || return 0
  printf '\nNot passed (%s in all):\n\n' "$(wc -l <"$file")"
  sed -n '1,40s/^/- /p' "$file"
}

report_tests() {
  printf '\n## Tests\n\n'
  if [ ! -e "$results/tests/stage" ]; then
    printf 'Not run.\n'
    return
  fi
  printf 'ebb_cuda_tests and all rows named */cuda/* ran on the device, the others on the CPU. Result: %s.\n\n' \
    "$(value_of "$results/tests/stage" result)"
  counts_table "$results"/tests/counts "$results"/tests/counts_others
  printf '\nParity files on the device: %s\n' "$(cat "$results/tests/parity")"
  not_passed tests
}

report_sanitizer() {
  local tool
  printf '\n## compute-sanitizer\n'
  for tool in memcheck racecheck synccheck; do
    printf '\n### %s\n\n' "$tool"
    if [ ! -e "$results/$tool/counts" ]; then
      printf 'Not run.\n'
      continue
    fi
    # shellcheck disable=SC2016  # backquotes of Markdown
    printf 'ebb_cuda_tests, and op_table with the filter `%s`. Result: %s; ' "$(cat "$results/$tool/filter")" \
      "$(value_of "$results/$tool/stage" result)"
    awk '$2 == "unfinished" { ++cut; next } { errors += $2 }
      END { print errors + 0 " findings in " NR - cut " processes that ended, " cut + 0 " did not end.\n" }' \
      "$results/$tool/findings"
    counts_table "$results/$tool/counts"
    not_passed "$tool"
  done
}

report_bench() {
  printf '\n## Benchmarks\n\n'
  if [ ! -e "$results/bench/stage" ]; then
    printf 'Not run.\n'
    return
  fi
  printf 'Medians. Result: %s. ' "$(value_of "$results/bench/stage" result)"
  if [ -s "$results/bench/torch" ]; then
    printf 'Beside it %s on the same card.\n\n' "$(paste -sd ' ' "$results/bench/torch")"
  else
    printf 'PyTorch was not measured: %s.\n\n' "$(tail -n 1 "$results/bench/torch.log")"
  fi
  awk -f "$root/benchmarks/gpu/tables.awk" "$results/bench/ebb.jsonl" "$results/bench/torch.jsonl"
}

stage_report() {
  local stage file card day first='' text key
  for stage in build tests memcheck racecheck synccheck bench; do
    file=$results/$stage/stage
    [ -e "$file" ] || continue
    first=${first:-$file}
    if [ "$(value_of "$file" card)" != "$(value_of "$first" card)" ] ||
      [ "$(value_of "$file" commit)" != "$(value_of "$first" commit)" ]; then
      error "the results are of different cards or commits ($stage and an earlier stage): run the old ones again"
      return 1
    fi
    day=$(value_of "$file" date)
  done
  if [ -z "$first" ] || [ "$(value_of "$first" card)" = none ]; then
    error 'there is nothing to report: no stage has run on a machine with a GPU'
    return 1
  fi
  card=$(value_of "$first" card)
  text=$root/docs/gpu/${day%% *}-$(printf '%s' "$card" | tr '[:upper:]' '[:lower:]' | tr -cs 'a-z0-9\n' '-').md
  {
    printf '# %s, %s\n\n' "$card" "${day%% *}"
    printf 'Written by scripts/gpu-check from the results of its stages.\n\n| | |\n| --- | --- |\n'
    for key in commit card memory capability driver cuda compiler cores; do
      printf '| %s | %s |\n' "$key" "$(value_of "$first" $key)"
    done
    printf '\n| stage | result | seconds | ended (UTC) |\n| --- | --- | ---: | --- |\n'
    for stage in build tests memcheck racecheck synccheck bench; do
      file=$results/$stage/stage
      if [ -e "$file" ]; then
        printf '| %s | %s | %s | %s |\n' "$stage" "$(value_of "$file" result)" "$(value_of "$file" seconds)" \
          "$(value_of "$file" date)"
      else
        printf '| %s | not run | | |\n' "$stage"
      fi
    done
    report_tests
    report_sanitizer
    report_bench
  } >"$build/report.md" || return 1
  mv "$build/report.md" "$text"
  say "written: ${text#"$root"/}"
  [ -z "${OUT:-}" ] || cp "$text" "$OUT"
}
