# shellcheck shell=bash
# Writes the report of scripts/gpu-check from the files of its stages in $results. This file is
# sourced.
# shellcheck disable=SC2154  # the script that sources it sets root, results and build

report_stages=(build tests bench profile cpu memcheck racecheck synccheck)

# counts_table FILE...: prints lines of counts as a table.
counts_table() {
  printf '| tests | in all | passed | failed | skipped | not run |\n| --- | ---: | ---: | ---: | ---: | ---: |\n'
  cat "$@" | awk '{ print "| " $1 " | " $2 " | " $3 " | " $4 " | " $5 " | " $6 " |" }'
}

# not_passed STAGE: prints the names of tests that did not pass, at most 40.
not_passed() {
  local file=$results/$1/not_passed
  [ -s "$file" ] || return 0
  printf '\nNot passed (%s in all):\n\n' "$(wc -l <"$file")"
  sed -n '1,40s/^/- /p' "$file"
}

# section TITLE STAGE: prints the title. If the stage was not run, says so and returns 1.
section() {
  printf '\n## %s\n\n' "$1"
  [ ! -e "$results/$2/stage" ] || return 0
  printf 'Not run.\n'
  return 1
}

report_tests() {
  section 'Tests' tests || return 0
  printf 'On the device: all of ebb_cuda_tests, all rows named */cuda/*, short trainings of every example, eager and '
  printf 'captured, against the same on the CPU (ebb_gpu_examples_tests), and a user'\''s kernel. Result: %s.\n\n' \
    "$(value_of "$results/tests/stage" result)"
  counts_table "$results"/tests/counts
  printf '\nParity files on the device: %s\n' "$(cat "$results/tests/parity" 2>/dev/null)"
  not_passed tests
  if [ -s "$results/tests/alone" ]; then
    printf '\nRun once more, each in a process of its own: %s of them pass alone, %s do not.\n\n' \
      "$(grep -c ': passes alone$' "$results/tests/alone")" "$(grep -c ': fails alone$' "$results/tests/alone")"
    sed -n 's/: fails alone$//p' "$results/tests/alone" | sort | sed -n '1,40s/^/- /p'
  fi
}

report_cpu() {
  section 'Tests of the CPU on this machine' cpu || return 0
  printf 'All others, without oneDNN. Result: %s.\n\n' "$(value_of "$results/cpu/stage" result)"
  counts_table "$results"/cpu/counts
  not_passed cpu
}

# findings TOOL: prints the first lines of its error messages, the most frequent ones first.
findings() {
  local lines
  lines=$(awk '
    /^=========     at / && head != "" { sub(/^=+ +/, ""); sub(/\+0x.*/, ""); print head " " $0; head = ""; next }
    head != "" { print head; head = "" }
    /^========= [A-Z]/ && !/SUMMARY|COMPUTE-SANITIZER|^========= (Host|Saved|Target|LEAK)/ {
      head = substr($0, 11)
      sub(/^Error: /, "", head)
    }
    END { if (head != "") print head }
  ' "$results/$1"/*.log | sort | uniq -c | sort -rn | awk '{ n = $1; $1 = ""; print "- " n " times:" $0 }')
  [ -z "$lines" ] || printf '\nFound:\n\n%s\n' "$(printf '%s\n' "$lines" | sed -n '1,20p')"
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
    findings "$tool"
    not_passed "$tool"
  done
}

report_bench() {
  section 'Benchmarks' bench || return 0
  printf 'Medians. Result: %s. ' "$(value_of "$results/bench/stage" result)"
  local peer
  for peer in torch jax; do
    if [ -s "$results/bench/$peer" ]; then
      printf 'Compared with %s on the same card. ' "$(paste -sd ' ' "$results/bench/$peer")"
    else
      printf 'Not measured: %s, %s. ' "$peer" "$(tail -n 1 "$results/bench/$peer.log" 2>/dev/null)"
    fi
  done
  printf '\n\n'
  if [ -s "$results/bench/broken_off" ]; then
    printf 'Not completed:\n\n'
    sed 's/^/- /' "$results/bench/broken_off"
    printf '\n'
  fi
  awk -f "$root/benchmarks/gpu/tables.awk" "$results/bench/ebb.jsonl" "$results/bench/torch.jsonl" "$results/bench/jax.jsonl" \
    2>&1
}

report_profile() {
  section 'Kernels' profile || return 0
  cat "$results/profile/kernels.md"
}

# report_is_possible: returns 0 if all results are of one card and one commit. Otherwise prints an
# error.
report_is_possible() {
  local stage file first=''
  for stage in "${report_stages[@]}"; do
    file=$results/$stage/stage
    [ -e "$file" ] || continue
    first=${first:-$file}
    if [ "$(value_of "$file" card)" != "$(value_of "$first" card)" ] ||
      [ "$(value_of "$file" commit)" != "$(value_of "$first" commit)" ]; then
      error "the results are of different cards or commits ($stage and an earlier stage): run the old ones again"
      return 1
    fi
  done
  if [ -z "$first" ] || [ "$(value_of "$first" card)" = none ]; then
    error 'there is nothing to report: no stage has run on a machine with a GPU'
    return 1
  fi
}

# newest KEY: prints its value in the results of the stage that ended last.
newest() {
  local stage file
  for stage in "${report_stages[@]}"; do
    file=$results/$stage/stage
    [ ! -e "$file" ] || printf '%s\t%s\n' "$(value_of "$file" date)" "$(value_of "$file" "$1")"
  done | sort | tail -n 1 | cut -f 2
}

write_report() {
  local stage file key day
  day=$(newest date)
  printf '# %s, %s\n\n' "$(newest card)" "${day%% *}"
  printf 'Written by scripts/gpu-check from the results of its stages.\n\n| | |\n| --- | --- |\n'
  for key in commit card memory capability driver cuda compiler cores; do
    printf '| %s | %s |\n' "$key" "$(newest "$key")"
  done
  [ ! -e "$results/build/warnings" ] || printf '| warnings of the compilers | %s |\n' "$(cat "$results/build/warnings")"
  printf '\n| stage | result | seconds | ended (UTC) |\n| --- | --- | ---: | --- |\n'
  for stage in "${report_stages[@]}"; do
    file=$results/$stage/stage
    if [ -e "$file" ]; then
      printf '| %s | %s | %s | %s |\n' "$stage" "$(value_of "$file" result)" "$(value_of "$file" seconds)" \
        "$(value_of "$file" date)"
    else
      printf '| %s | not run | | |\n' "$stage"
    fi
  done
  report_tests
  report_bench
  report_profile
  report_sanitizer
  report_cpu
}

stage_report() {
  local day text
  report_is_possible || return 1
  day=$(newest date)
  text=$root/docs/gpu/${day%% *}-$(newest card | tr '[:upper:]' '[:lower:]' | tr -cs 'a-z0-9\n' '-').md
  write_report >"$build/report.md" || return 1
  mv "$build/report.md" "$text"
  say "written: ${text#"$root"/}"
  hand_out
}
