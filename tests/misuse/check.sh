#!/usr/bin/env bash
# Compiles each *.cpp of this folder twice: as it is, which must pass, and with -DMISUSE, which must
# fail at each line that ends in "// refused: TEXT", with TEXT in the compiler's message for it.
#
#   tests/misuse/check.sh COMPILER INCLUDE_DIR
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
compile=("$1" -std=c++20 -fsyntax-only -Wall -Werror "-I$2")
failures=0
for file in *.cpp; do
  if ! "${compile[@]}" "$file"; then
    echo "$file: does not compile without the misuse"
    failures=$((failures + 1))
  fi
  messages=$("${compile[@]}" -DMISUSE "$file" 2>&1 || true)
  lines=0
  while IFS=: read -r number line; do
    lines=$((lines + 1))
    text=${line##*// refused: }
    if ! grep -qE "^$file:$number:.*error.*$text" <<<"$messages"; then
      echo "$file:$number: is not refused with \"$text\""
      failures=$((failures + 1))
    fi
  done < <(grep -n '// refused: ' "$file")
  if [ "$lines" -eq 0 ]; then
    echo "$file: states no misuse"
    failures=$((failures + 1))
  fi
done
exit $((failures > 0))
