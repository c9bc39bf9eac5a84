"""What the programs that measure other frameworks share: the nets, the timing and the lines they print."""
import json
import math
import statistics
import sys
import time

NETS = [
    ("mlp_2_16_16_2_b32", [2, 16, 16, 2], 32),
    ("mlp_64_32_10_b32", [64, 32, 10], 32),
    ("mlp_784_128_10_b64", [784, 128, 10], 64),
    ("mlp_784_512_512_10_b128", [784, 512, 512, 10], 128),
    ("mlp_1024x4_10_b512", [1024, 1024, 1024, 1024, 10], 512),
    ("mlp_4096x4_10_b1024", [4096, 4096, 4096, 4096, 10], 1024),
]
LARGE = ("mlp_1024x4_10_b512", "mlp_4096x4_10_b1024")


def flops_of(widths, batch):
    return sum((4 if i == 0 else 6) * batch * a * b for i, (a, b) in enumerate(zip(widths, widths[1:])))


def make_row(group, name, variant, flops=0, size=0):
    return {"group": group, "name": name, "variant": variant, "flops": int(flops), "bytes": int(size)}


def require_finite(program, row, total):
    if not math.isfinite(total):
        sys.exit(f"{program}: {row['name']}: a result is not finite")


def add_options(parser):
    parser.add_argument("--filter", default="", help="only rows whose name contains this")
    parser.add_argument("--quick", action="store_true", help="small shapes, few repetitions; the figures have no meaning")


class Timer:
    """Measures steps in batches between two waits for the device, and prints the median time of a step."""

    def __init__(self, source, options, wait):
        self.source, self.quick, self.wait = source, options.quick, wait

    def seconds_of(self, calls, call):
        self.wait()
        start = time.perf_counter()
        for _ in range(calls):
            call()
        self.wait()
        return time.perf_counter() - start

    def run(self, row, mode, call, steps_per_call=1):
        batch_seconds, all_seconds, least_batches = (1e-4, 1e-2, 3) if self.quick else (5e-3, 0.4, 15)
        self.seconds_of(8, call)
        calls = 1
        while self.seconds_of(calls, call) < batch_seconds:
            calls *= 2
        times, total = [], 0.0
        while len(times) < least_batches or total < all_seconds:
            seconds = self.seconds_of(calls, call)
            total += seconds
            times.append(seconds / (calls * steps_per_call) * 1e6)
        times.sort()
        last = len(times) - 1
        line = {"source": self.source, **row, "mode": mode, "us": round(statistics.median(times), 4)}
        line |= {"us_p10": round(times[int(0.1 * last)], 4), "us_p90": round(times[int(0.9 * last)], 4)}
        line |= {"batches": len(times), "steps": calls * steps_per_call, "quick": self.quick}
        print(json.dumps(line, separators=(",", ":")), flush=True)
