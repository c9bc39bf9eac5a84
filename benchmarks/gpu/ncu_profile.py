#!/usr/bin/env python3
"""Profiles the kernels of rows of ebb-gpu-bench with ncu (Nsight Compute), and prints one table.

    ncu_profile.py EBB_GPU_BENCH [ROW,ROW...]
"""
import csv
import os
import re
import subprocess
import sys

ROWS = [
    *["mlp_64_32_10_b32", "mlp_784_128_10_b64", "mlp_4096x4_10_b1024", "convnet_4x3x3_bn_b128"],
    *["batch_norm2d_64x64x56x56", "attention_b16_h8_t512_d64", "lstm_128_256_t64_b64"],
    *["cross_entropy_4096x1000", "cross_entropy_256x50257", "log_softmax_256x50257", "sigmoid_16384x4096"],
]
METRICS = {
    "gpu__time_duration.sum": "us",
    "dram__throughput.avg.pct_of_peak_sustained_elapsed": "dram %",
    "sm__warps_active.avg.pct_of_peak_sustained_active": "warps %",
    "sm__inst_issued.avg.pct_of_peak_sustained_active": "issue %",
    "launch__registers_per_thread": "registers",
}


def profile(bench, row):
    """Returns the rows of ncu's CSV output: one dict for each launch."""
    command = ["ncu", "--csv", "--page", "raw", "--metrics", ",".join(METRICS), "--clock-control", "none"]
    command += ["--print-units", "base", "--launch-count", "400", bench, "--once", "--filter", row]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    lines = [line for line in done.stdout.splitlines() if line.startswith('"')]
    if len(lines) < 3:
        sys.exit(f"ncu_profile.py: {row}: ncu measured nothing: {(done.stderr or done.stdout).strip()[-300:]}")
    return [dict(zip(next(csv.reader([lines[0]])), values)) for values in csv.reader(lines[2:])]


def number(text):
    return float(text.replace(",", ""))


def microseconds(launch):
    return number(launch["gpu__time_duration.sum"]) / 1000  # ncu's base unit is the nanosecond


def main():
    bench = sys.argv[1]
    rows = sys.argv[2].split(",") if len(sys.argv) > 2 else ROWS
    print("Durations under the profiler, which adds about 1 us. dram, warps, issue: % of the card's peak. n: launches.\n")
    print("| row | kernel | n | us | dram % | warps % | issue % | registers | grid | block |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        groups = {}
        for launch in profile(bench, row):
            name = re.sub(r"\(anonymous namespace\)|<unnamed>", "", launch["Kernel Name"]).replace("::::", "::")
            groups.setdefault((name, launch["Grid Size"], launch["Block Size"]), []).append(launch)
        for (name, grid, block), launches in sorted(groups.items(), key=lambda item: -sum(map(microseconds, item[1]))):
            middle = sorted(launches, key=microseconds)[len(launches) // 2]
            figures = [f"{microseconds(middle):.1f}"] + [f"{number(middle[metric]):.0f}" for metric in list(METRICS)[1:]]
            short = name[:70].replace("|", "\\|")
            sizes = [re.sub(r"[() ]|, 1(?=[,)])", "", text) for text in (grid, block)]
            print(f"| {row} | `{short}` | {len(launches)} | {' | '.join(figures)} | {' | '.join(sizes)} |")


if __name__ == "__main__":
    main()
