#!/usr/bin/env bash
# Renews the table of counts and errors in README.md here: renew_table.sh [BUILD_FOLDER].
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${1:-$here/../../build}
{
  sed '/<!-- counts -->/q' "$here/README.md"
  "$build/tests/parity/ebb-parity" --summary "$here"/data/*.safetensors
  echo
  echo "$(cat "$here"/data/*.safetensors | wc -c) bytes in $(find "$here/data" -name '*.safetensors' | wc -l) files."
  sed -n '/<!-- end of counts -->/,$p' "$here/README.md"
} >"$here/README.md.new"
mv "$here/README.md.new" "$here/README.md"
