"""A guard of speed that is not a timer: the instructions of a repetition, counted by callgrind, against baseline.json.

Counted are those of one warm repetition of the smallest net's training step and of the op chain, on one thread, without
oneDNN's own. They depend on the compiler and its library, so each compiler has a baseline of its own; one that is more
than the tolerance above it is a failure, one below asks for a new baseline. Exit status: 0, 1, or 77 for a test that
cannot be done here.

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
    """The sum of self costs in a callgrind file, those of oneDNN's objects left out."""
    names, current, total, skip_next = {}, "", 0, False
    for line in profile.splitlines():
        if match := re.match(r"ob=\((\d+)\)(?: (.*))?", line):
            number, name = match.groups()
            current = names.setdefault(number, name or "")
        elif match := re.match(r"cob=\((\d+)\) (.*)", line):
            names.setdefault(*match.groups())
        elif line.startswith("calls="):
            skip_next = True  # the next line is the cost inside of the called function, which has lines of its own
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
        sys.exit(f"error: callgrind saw nothing of {row}")
    return total // REPETITIONS


def main():
    program, compiler = sys.argv[1:3]
    if not shutil.which("valgrind"):
        print("SKIPPED: there is no valgrind")
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
