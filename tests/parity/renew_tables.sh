#!/usr/bin/env bash
# Renews the tables in README.md and docs/numerics.md with the programs of this folder:
# renew_tables.sh [BUILD_FOLDER].
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${1:-$here/../../build}

# renew FILE NAME: replaces the text between <!-- NAME --> and <!-- end of NAME --> by standard
# input.
renew() {
  { sed "/<!-- $2 -->/q" "$1"; cat; sed -n "/<!-- end of $2 -->/,\$p" "$1"; } >"$1.new"
  mv "$1.new" "$1"
}

{
  "$build/tests/parity/ebb-parity" --summary "$here"/data/*.safetensors
  echo
  echo "$(cat "$here"/data/*.safetensors | wc -c) bytes in $(find "$here/data" -name '*.safetensors' | wc -l) files."
} | renew "$here/README.md" counts
"$build/tests/parity/ebb-numerics" "$here/numerics.safetensors" | renew "$here/../../docs/numerics.md" numerics
