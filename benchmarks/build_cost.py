"""What Ebb costs a user beside the time of its steps: scripts/bench --build.

Builds the library anew in a temporary folder, without a compiler cache, and prints: the time of that, the time and memory
to compile a program that includes <ebb/ebb.h>, the size of the shared library, and the time of a process that makes one
training step.
"""

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
    """Seconds of the command; its output is shown when it fails."""
    start = time.monotonic()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          env={**os.environ, "CCACHE_DISABLE": "1", **(env or {})})
    if done.returncode:
        sys.exit(f"{done.stdout[-3000:]}{done.stderr[-3000:]}error: this failed: {command}")
    return time.monotonic() - start


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


def main():
    cores = os.cpu_count() or 1
    compiler = os.environ.get("CXX", "c++")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
          f"{subprocess.check_output([compiler, '--version'], text=True).splitlines()[0]}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        seconds, library = build_library(folder / "build", cores)
        report(f"clean build of the library, {cores} at a time", f"{seconds:.0f} s", "120 s on 2 cores")
        report("stripped libebb.so", f"{megabytes(library):.1f} MB", "8 MB")
        linked = subprocess.check_output(["ldd", library], text=True)
        if match := re.search(r"=> (\S*libdnnl\S*)", linked):
            report("oneDNN beside it (EBB_ONEDNN=OFF does without)", f"{megabytes(match.group(1)):.1f} MB", "-")

        include = ["-std=c++20", "-fno-math-errno", "-fno-trapping-math", f"-I{folder}/build/include"]
        for level in ("-O0", "-O2"):
            times = [run(compiler, *include, level, "-c", PROGRAM, "-o", folder / "program.o") for _ in range(5)]
            report(f"program with <ebb/ebb.h>, {level}", f"{statistics.median(times):.2f} s", "1.5 s")
        # Peak memory of the largest child: measured in a process of its own.
        probe = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
                 "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)")
        peak = subprocess.check_output([sys.executable, "-c", probe, compiler, *include, "-O2", "-c", str(PROGRAM), "-o",
                                        str(folder / "program.o")], text=True)
        report("memory of the compiler for it", f"{peak.strip()} MB", "-")

        program = folder / "first_step"
        run(compiler, folder / "program.o", f"-L{library.parent}", "-lebb", f"-Wl,-rpath,{library.parent}", "-o", program)
        times = [run(program) for _ in range(20)]
        report("process with one training step (784-128-10, 128 rows)", f"{statistics.median(times) * 1e3:.0f} ms",
               "50 ms")


if __name__ == "__main__":
    main()
