"""Alternates the benchmark programs row by row and prints one table. scripts/bench runs it and documents the flags.

All programs stay alive. In each round every program repeats the same row for about 20 ms, so other load on the machine
slows all of them. Each figure is the median of the rounds. driver.h documents the programs.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

SIDES = ("ebb", "hand", "torch")


class Program:
    """A running benchmark program."""

    def __init__(self, path, threads):
        # Idle threads of one program spin for a while. measure() pauses before it runs the next program.
        env = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_DYNAMIC": "false", "MKL_DYNAMIC": "false"}
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer or answer.startswith("error"):
            sys.exit(f"error: {self.process.args[0]} failed at '{line}': {answer}")
        return answer

    def rows(self):
        """Returns [(name, 'gemm' or 'stream' or 'none', amount)]."""
        lines = [self.ask("rows")]
        while line := self.process.stdout.readline().strip():
            lines.append(line)
        return [(name, kind, float(amount)) for name, kind, amount in map(str.split, lines)]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(programs, rounds):
    """Returns the median microseconds of each program. programs: {key: (program, row name)}"""
    times = {}
    for key, (program, row) in programs.items():
        if program.ask(f"start {row}") == "ok":
            times[key] = []
    enough = time.monotonic() + rounds
    for done in range(9 * rounds):
        if done >= 5 and time.monotonic() > enough:
            break
        for key in times:
            time.sleep(0.01)
            times[key].append(float(programs[key][0].ask("run")))
    return {key: statistics.median(values) for key, values in times.items()}


def measure_threads(paths, threads, wanted, rounds):
    """Measures all rows with one number of threads. Returns the rows and the descriptions of the programs."""
    programs = {side: Program(path, threads) for side, path in paths.items()}
    infos = {side: program.ask("info") for side, program in programs.items()}
    # A separate program measures the floors, so that its row stays prepared while the others change theirs.
    floors = {kind: Program(paths["hand"], threads) for kind in ("gemm", "stream")} if "hand" in paths else {}
    amounts = {"gemm": 2.0 * 512 * 1024 * 1024, "stream": 3.0 * 4 * (16 << 20)}
    rates = {kind: [] for kind in floors}
    rows = []
    for name, kind, amount in programs["ebb"].rows():
        if not wanted(name):
            continue
        asked = {side: (program, name) for side, program in programs.items()}
        if kind in floors:
            asked["floor"] = (floors[kind], f"floor_{kind}")
        times = measure(asked, rounds)
        floor = None
        if "floor" in times:
            rate = amounts[kind] / times["floor"]
            rates[kind].append(rate)
            floor = amount / rate
        rows.append({
            "name": name,
            "threads": threads,
            "ebb_us": times["ebb"],
            "hand_us": times.get("hand"),
            "torch_us": times.get("torch"),
            "torch_version": infos["torch"] if "torch" in times else None,
            "floor_us": floor,
        })
        print(format_row(rows[-1]), file=sys.stderr, flush=True)
    peak = {side: int(program.ask("memory")) / 1024 for side, program in programs.items()}
    for program in [*programs.values(), *floors.values()]:
        program.close()
    return rows, infos, {kind: statistics.median(values) for kind, values in rates.items() if values}, peak


def format_time(us):
    if us is None:
        return "-"
    for unit, size in (("s", 1e6), ("ms", 1e3), ("us", 1)):
        if us >= size:
            return f"{us / size:.3g} {unit}"
    return f"{us * 1e3:.3g} ns"


def ratio(a, b):
    return f"{a / b:.2f}" if a and b else "-"


HEADINGS = ("row", "threads", "Ebb", "by hand", "PyTorch", "floor", "PyTorch / Ebb", "Ebb / by hand", "floor / Ebb")


def cells(row):
    ebb = row["ebb_us"]
    return (row["name"], str(row["threads"]), format_time(ebb), format_time(row["hand_us"]),
            format_time(row["torch_us"]), format_time(row["floor_us"]), ratio(row["torch_us"], ebb),
            ratio(ebb, row["hand_us"]), ratio(row["floor_us"], ebb))


WIDTHS = (36, 7, 9, 9, 9, 9, 13, 13, 11)


def format_row(row):
    texts = cells(row) if isinstance(row, dict) else row
    return "  ".join(text.ljust(w) if i == 0 else text.rjust(w) for i, (text, w) in enumerate(zip(texts, WIDTHS)))


def markdown(rows):
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---|" + "---:|" * (len(HEADINGS) - 1)]
    return "\n".join(lines + ["| " + " | ".join(cells(row)) + " |" for row in rows])


def replace_table(page, table):
    """Replaces the table between the marks of a page. Creates the page if it does not exist."""
    begin, end = "<!-- table: scripts/bench --markdown -->\n", "<!-- end of table -->\n"
    text = page.read_text() if page.exists() else begin + end
    if begin not in text or end not in text:
        sys.exit(f"error: {page} has no place for a table: {begin}{end}")
    page.write_text(text[:text.index(begin) + len(begin)] + table + "\n" + text[text.index(end):])


def processor():
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.split(':')[1].strip()}, {os.cpu_count()} cores"
    except OSError:
        pass
    return f"{platform.machine()}, {os.cpu_count()} cores"


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--programs", required=True, type=pathlib.Path)
    parser.add_argument("--threads", default="1,2" if (os.cpu_count() or 1) > 1 else "1")
    parser.add_argument("--filter", default="")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--markdown", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu-time", action="store_true")
    args = parser.parse_args()
    if args.cpu_time:
        args.threads = "1"
        os.environ["BENCH_CPU_TIME"] = "1"

    paths = {side: str(args.programs / f"{side}-bench") for side in SIDES}
    paths = {side: path for side, path in paths.items() if os.access(path, os.X_OK)}
    wanted = [part for part in args.filter.split(",") if part]
    rows, notes = [], ["times are CPU time, not wall time"] if args.cpu_time else []
    notes += [f"processor: {processor()}; load at the start: {os.getloadavg()[0]:.1f}"]
    print(format_row(HEADINGS), file=sys.stderr)
    for threads in map(int, args.threads.split(",")):
        more, infos, rates, peak = measure_threads(
            paths, threads, lambda name: not wanted or any(part in name for part in wanted), args.rounds)
        rows += more
        for side, info in infos.items():
            notes.append(f"{side}, {threads} threads: {info}; peak memory {peak[side]:.0f} MB")
        for kind, rate in rates.items():
            notes.append(f"floor, {threads} threads: " + (f"{rate / 1e3:.1f} GFLOP/s of sgemm" if kind == "gemm" else
                                                        f"{rate / 1e3:.1f} GB/s read plus written"))
    if not rows:
        sys.exit(f"error: no row has '{args.filter}' in its name")
    if "torch" not in paths:
        notes.append("torch: SKIPPED, not found (pip install torch and --python, or apt-get install libtorch-dev)")
    if "hand" not in paths:
        notes.append("hand, floor: SKIPPED, built without oneDNN")
    print("\n".join([format_row(HEADINGS)] + [format_row(row) for row in rows] + [""] + notes))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    if args.markdown:
        replace_table(args.markdown, markdown(rows) + "\n\n" + "\n".join(f"- {note}" for note in notes))


if __name__ == "__main__":
    main()
