#!/usr/bin/env bash
# Searches for the words and phrases of avoid.txt. Prints each as file:line: the text, and why to
# avoid it.
#
#   tests/phrases/check.sh [SOURCE_DIR]
#
# Names are searched for in all text of every file. Prose is searched for in pages and in comments.
set -euo pipefail

root=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
list=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/avoid.txt
cd "$root"

# The list itself, texts that quote source code or older states, and optimizers, whose comments are
# being rewritten.
exempt='^(tests/phrases/avoid\.txt|CHANGELOG\.md|docs/mutation-survivors\.txt|docs/gpu/[0-9].*)$'

if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  mapfile -t files < <(git ls-files --cached --others --exclude-standard)
else
  mapfile -t files < <(find . -type f -not -path './build*' -not -path './.git/*' -printf '%P\n')
fi
mapfile -t files < <(printf '%s\n' "${files[@]}" | grep -vE "$exempt" |
  grep -E '\.(h|cpp|cu|py|sh|awk|cmake|in|txt|md)$|^scripts/|^\.ci/')
present=()
for file in "${files[@]}"; do
  if [ -f "$file" ]; then present+=("$file"); fi
done
if [ "${#present[@]}" -lt 200 ]; then
  echo "only ${#present[@]} files found below $root: this check has lost its subject" >&2
  exit 1
fi

# prose FILE...: file:line:text of the comments in source files, and of the text in pages.
prose() {
  awk '
    FNR == 1 { fence = docstring = 0; page = FILENAME ~ /\.md$/; c = FILENAME ~ /\.(h|cpp|cu)$/; py = FILENAME ~ /\.py$|scripts\/mutate$/ }
    page {
      if (/^ *```/) fence = !fence
      if (fence || /^ *```/ || /^    /) next
      gsub(/`[^`]*`/, "`")
      print FILENAME ":" FNR ":" $0
      next
    }
    c {
      if (match($0, /(^|[^:])\/\/+<?/)) print FILENAME ":" FNR ":" substr($0, RSTART + RLENGTH)
      next
    }
    py && /"""/ {
      print FILENAME ":" FNR ":" $0
      if (gsub(/"""/, "") == 1) docstring = !docstring
      next
    }
    docstring { print FILENAME ":" FNR ":" $0; next }
    match($0, /(^|[ \t])#+/) { print FILENAME ":" FNR ":" substr($0, RSTART + RLENGTH) }
  ' "$@"
}

work=$(mktemp)
trap 'rm -f "$work"' EXIT
prose "${present[@]}" | sed -E 's/^([^:]*:[0-9]+:) +/\1/' >"$work"

failures=0
report() {
  while IFS= read -r line; do
    printf '%s: %s\n' "${line:0:160}" "$1"
    failures=$((failures + 1))
  done
}
section=
while IFS=$'\t' read -r pattern reason; do
  case $pattern in
    '' | '#'*) ;;
    '['*']') section=$pattern ;;
    *)
      if [ -z "$reason" ]; then
        echo "avoid.txt: no reason after: $pattern" >&2
        exit 1
      fi
      status=0
      grep -qP "$pattern" /dev/null || status=$?
      if [ "$status" -gt 1 ]; then
        echo "avoid.txt: grep cannot use: $pattern" >&2
        exit 1
      fi
      case $section in
        '[names]') report "$reason" < <(grep -nHP "$pattern" "${present[@]}" || true) ;;
        # A pattern that starts with ^ refers to the start of the text after file:line:
        *) report "$reason" < <(grep -iP "^[^:]*:[0-9]+:(?:.*?)(?:${pattern/#'(^|'/'((?<=:)|'})" "$work" || true) ;;
      esac
      ;;
  esac
done <"$list"

if [ "$failures" -gt 0 ]; then
  echo "phrases: $failures found in ${#present[@]} files"
  exit 1
fi
echo "phrases: none found in ${#present[@]} files"
