"""Checks speed without a timer: compares the instructions of a repetition, counted by callgrind, with baseline.json.

It counts one warm repetition of the smallest network's training step and of the op chain, on one thread, without the
instructions of oneDNN. The counts depend on the compiler and its library, so each compiler has its own baseline. A count
that differs from it by more than the tolerance is a failure; a lower one needs a new baseline. Exit status: 0, 1, or 77
if the test cannot run here.

  python3 benchmarks/instructions.py PROGRAM COMPILER            PROGRAM: build/benchmarks/ebb-bench; COMPILER: GNU-12
  python3 benchmarks/instructions.py PROGRAM COMPILER --update   writes the baseline (CHANGELOG.md says why)
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

BASELINE = pathlib.Path(__file__).with_name("baseline.json")
ROWS = ("mlp_2_16_16_2_b32", "op_chain_mul_4x4")
REPETITIONS = 100
SKIP = 77


def own_instructions(profile):
    """Returns the sum of self costs in a callgrind file, without those of oneDNN."""
    names, current, total, skip_next = {}, "", 0, False
    for line in profile.splitlines():
        if match := re.match(r"ob=\((\d+)\)(?: (.*))?", line):
            number, name = match.groups()
            current = names.setdefault(number, name or "")
        elif match := re.match(r"cob=\((\d+)\) (.*)", line):
            names.setdefault(*match.groups())
        elif line.startswith("calls="):
            skip_next = True  # the next line is the cost of the called function, which also has its own lines
        elif match := re.match(r"[+\-*\d]\S* (\d+)$", line):
            if not skip_next and "dnnl" not in current:
                total += int(match.group(1))
            skip_next = False
    return total


def count(program, row):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "callgrind.out"
        command = ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=counted_repetitions",
                   f"--callgrind-out-file={out}", program, "count", row, str(REPETITIONS)]
        run = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        if run.returncode:
            sys.exit(run.stderr)
        total = own_instructions(out.read_text())
    if total == 0:
        sys.exit(f"error: callgrind counted no instructions of {row}")
    return total // REPETITIONS


def main():
    program, compiler = sys.argv[1:3]
    if not shutil.which("valgrind"):
        print("SKIPPED: valgrind is not installed")
        return SKIP
    baseline = json.loads(BASELINE.read_text())
    counts = {row: count(program, row) for row in ROWS}
    if "--update" in sys.argv:
        baseline["instructions"][compiler] = counts
        BASELINE.write_text(json.dumps(baseline, indent=2) + "\n")
        print(f"{compiler}: {counts}")
        return 0
    if compiler not in baseline["instructions"]:
        print(f"SKIPPED: no baseline for {compiler} in {BASELINE.name}; here it is {counts}")
        return SKIP
    failed = 0
    for row, counted in counts.items():
        expected, tolerance = baseline["instructions"][compiler][row], baseline["tolerance"]
        change = counted / expected - 1
        verdict = "ok"
        if change > tolerance:
            verdict, failed = "SLOWER: find out why, or write a new baseline and its reason into CHANGELOG.md", 1
        elif change < -tolerance:
            verdict, failed = "faster: write the new baseline (--update)", 1
        print(f"{row}: {counted} instructions, baseline {expected} ({change:+.1%}): {verdict}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
