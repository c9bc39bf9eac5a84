"""Measures what Ebb costs in addition to the time of its steps, for scripts/bench --build.

Builds the library in a temporary folder, without a compiler cache, and prints: the build time, the time and memory to
compile a program that includes <ebb/ebb.h>, the size of the shared library, the time of a process that makes one training
step, and the peak memory of an epoch of Fashion-MNIST, compared with PyTorch in Python and in C++.
"""

import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "benchmarks" / "first_step.cpp"


def run(*command, env=None):
    """Runs the command and returns the seconds it took. Prints its output if it fails."""
    start = time.monotonic()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          env={**os.environ, "CCACHE_DISABLE": "1", **(env or {})})
    if done.returncode:
        sys.exit(f"{done.stdout[-3000:]}{done.stderr[-3000:]}error: this failed: {command}")
    return time.monotonic() - start


def peak_megabytes(*command):
    """Returns the peak memory of the command, or None if it cannot run."""
    probe = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=2); "
             "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)")
    done = subprocess.run([sys.executable, "-c", probe, *map(str, command)], capture_output=True, text=True)
    return None if done.returncode else int(done.stdout)


def report(what, value, target):
    print(f"{what:<58} {value:>12}   target {target}", flush=True)


def megabytes(path):
    return os.stat(path).st_size / 1e6


def build_library(folder, cores, *options):
    run("cmake", "-S", ROOT, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=ON", "-DEBB_TESTS=OFF",
        "-DEBB_EXAMPLES=OFF", "-DEBB_CUDA=OFF", "-DCMAKE_CXX_COMPILER_LAUNCHER=", *options)
    seconds = run("cmake", "--build", folder, "--parallel", cores)
    library = (folder / "libebb.so").resolve()
    run("strip", library)
    return seconds, library


def report_memory(programs, examples, python, data):
    """Compares an epoch of the example with PyTorch in Python, and an epoch of the benchmark with PyTorch in C++."""
    with tempfile.TemporaryDirectory() as out:
        example = peak_megabytes(examples / "fashion_mnist", "--epochs", 1, "--data", data, "--out", out)
    peaks = [("examples/fashion_mnist, an epoch", example,
              peak_megabytes(python, ROOT / "benchmarks" / "fashion_mnist_torch.py", data)),
             ("row fashion_mnist_epoch", peak_megabytes(programs / "ebb-bench", "once", "fashion_mnist_epoch"),
              peak_megabytes(programs / "torch-bench", "once", "fashion_mnist_epoch")
              if (programs / "torch-bench").exists() else None)]
    for (name, ebb, torch), side in zip(peaks, ("Python", "C++")):
        report(f"peak memory: {name}", f"{ebb} MB" if ebb else "SKIPPED", "half of PyTorch's")
        report(f"  the same with PyTorch, {side}", f"{torch} MB" if torch else "SKIPPED",
               f"- (Ebb: {ebb / torch:.2f} of it)" if ebb and torch else "- (no PyTorch)")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", required=True, type=pathlib.Path)
    parser.add_argument("--examples", required=True, type=pathlib.Path)
    parser.add_argument("--python", default="python3")
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    args = parser.parse_args()
    cores = os.cpu_count() or 1
    compiler = os.environ.get("CXX", "c++")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
          f"{subprocess.check_output([compiler, '--version'], text=True).splitlines()[0]}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        seconds, library = build_library(folder / "build", cores)
        report(f"clean build of the library, {cores} processes", f"{seconds:.0f} s", "120 s on 2 cores")
        report("stripped libebb.so", f"{megabytes(library):.1f} MB", "8 MB")
        linked = subprocess.check_output(["ldd", library], text=True)
        if match := re.search(r"=> (\S*libdnnl\S*)", linked):
            report("oneDNN (not needed with EBB_ONEDNN=OFF)", f"{megabytes(match.group(1)):.1f} MB", "-")

        include = ["-std=c++20", "-fno-math-errno", "-fno-trapping-math", f"-I{folder}/build/include"]
        for level in ("-O0", "-O2"):
            times = [run(compiler, *include, level, "-c", PROGRAM, "-o", folder / "program.o") for _ in range(5)]
            report(f"program with <ebb/ebb.h>, {level}", f"{statistics.median(times):.2f} s", "1.5 s")
        peak = peak_megabytes(compiler, *include, "-O2", "-c", PROGRAM, "-o", folder / "program.o")
        report("memory of the compiler for this program", f"{peak} MB", "-")

        program = folder / "first_step"
        run(compiler, folder / "program.o", f"-L{library.parent}", "-lebb", f"-Wl,-rpath,{library.parent}", "-o", program)
        times = [run(program) for _ in range(20)]
        report("process with one training step (784-128-10, 128 rows)", f"{statistics.median(times) * 1e3:.0f} ms",
               "50 ms")
    report_memory(args.programs, args.examples, args.python, args.data)


if __name__ == "__main__":
    main()
