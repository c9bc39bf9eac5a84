#!/usr/bin/env bash
# Runs a test in Python, or skips it where Python or a package is missing.
#
#   run.sh PYTHON SCRIPT FILE PACKAGES...
set -euo pipefail

python=$1 script=$2 file=$3
shift 3
if ! command -v "$python" >/dev/null; then
  echo "skipped: no program $python (EBB_PYTHON)"
  exit 77
fi
for package in "$@"; do
  if ! "$python" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$package') is None)"; then
    echo "skipped: $python (EBB_PYTHON) has no package $package"
    exit 77
  fi
done
exec "$python" -B "$script" "$file"
