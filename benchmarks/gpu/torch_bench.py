#!/usr/bin/env python3
"""Measures the rows of ebb-gpu-bench in PyTorch, eager and as a CUDA graph, and prints the same JSON lines.

    torch_bench.py [--filter TEXT] [--quick] [--device cuda|cpu]

Eager steps use PyTorch's defaults. Captured steps use its fused optimizers, which are its fastest.
Exit status 77: torch cannot be imported or finds no GPU, and nothing was measured.
"""
import argparse
import json
import math
import statistics
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError as error:
    print(f"torch_bench: skipped: {error}", file=sys.stderr)
    sys.exit(77)

NETS = [
    ("mlp_2_16_16_2_b32", [2, 16, 16, 2], 32),
    ("mlp_64_32_10_b32", [64, 32, 10], 32),
    ("mlp_784_128_10_b64", [784, 128, 10], 64),
    ("mlp_784_512_512_10_b128", [784, 512, 512, 10], 128),
    ("mlp_1024x4_10_b512", [1024, 1024, 1024, 1024, 10], 512),
    ("mlp_4096x4_10_b1024", [4096, 4096, 4096, 4096, 10], 1024),
]
LARGE = ("mlp_1024x4_10_b512", "mlp_4096x4_10_b1024")
SHAPES = [(128, 10), (4096, 1000), (16384, 4096), (256, 50257)]


class Bench:
    def __init__(self, options):
        self.options = options
        self.device = torch.device(options.device)
        self.on_gpu = self.device.type == "cuda"

    def wanted(self, name):
        return self.options.filter in name

    def seconds_of(self, steps, step):
        self.wait()
        start = time.perf_counter()
        for _ in range(steps):
            step()
        self.wait()
        return time.perf_counter() - start

    def wait(self):
        if self.on_gpu:
            torch.cuda.synchronize()

    def run(self, row, mode, step):
        """Calls step in batches between two waits for the device, and prints the median time of a step."""
        quick = self.options.quick
        batch_seconds, all_seconds, least_batches = (1e-4, 1e-2, 3) if quick else (5e-3, 0.4, 15)
        self.seconds_of(8, step)
        steps = 1
        while self.seconds_of(steps, step) < batch_seconds:
            steps *= 2
        times, total = [], 0.0
        while len(times) < least_batches or total < all_seconds:
            seconds = self.seconds_of(steps, step)
            total += seconds
            times.append(seconds / steps * 1e6)
        times.sort()
        last = len(times) - 1
        line = {"source": "torch", **row, "mode": mode, "us": round(statistics.median(times), 4)}
        line |= {"us_p10": round(times[int(0.1 * last)], 4), "us_p90": round(times[int(0.9 * last)], 4)}
        line |= {"batches": len(times), "steps": steps, "quick": quick}
        print(json.dumps(line, separators=(",", ":")), flush=True)

    def capture(self, step):
        """Returns the step as a CUDA graph, recorded as PyTorch's documentation recommends: after warm-up on a side stream."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        return graph


def require_finite(row, result):
    if not math.isfinite(result.detach().double().sum().item()):
        sys.exit(f"torch_bench: {row['name']}: a result is not finite")


def make_row(group, name, variant, flops=0, size=0):
    return {"group": group, "name": name, "variant": variant, "flops": int(flops), "bytes": int(size)}


def allow_tf32(on):
    torch.set_float32_matmul_precision("high" if on else "highest")


def run_ceilings(bench):
    quick, device = bench.options.quick, bench.device
    if bench.wanted("copy"):
        n = 1 << (12 if quick else 28)
        source, to = torch.randn(n, device=device), torch.empty(n, device=device)
        bench.run(make_row("ceiling", "copy", "f32", 0, n * 8), "eager", lambda: to.copy_(source))
        del source, to
    for tf32 in (False, True) if bench.on_gpu else (False,):
        if not bench.wanted("matmul"):
            continue
        allow_tf32(tf32)
        n = 64 if quick else 8192
        a, b = torch.randn(n, n, device=device), torch.randn(n, n, device=device)
        out = torch.empty(n, n, device=device)
        row = make_row("ceiling", "matmul", "tf32" if tf32 else "f32", 2 * n**3)
        bench.run(row, "eager", lambda: torch.mm(a, b, out=out))
        require_finite(row, out)
        allow_tf32(False)


class Training:
    def __init__(self, bench, widths, batch, adam, captured):
        torch.manual_seed(1)
        layers = []
        for i in range(len(widths) - 1):
            layers += [torch.nn.Linear(widths[i], widths[i + 1]), torch.nn.ReLU()]
        self.model = torch.nn.Sequential(*layers[:-1]).to(bench.device)
        fast = {"fused": True} if captured else {}
        if adam:
            fast |= {"capturable": True} if captured else {}
            self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-4, **fast)
        else:
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-4, momentum=0.9, **fast)
        self.x = torch.randn(batch, widths[0], device=bench.device)
        self.target = torch.arange(batch, device=bench.device) % widths[-1]
        self.loss = None

    def step(self):
        self.loss = F.cross_entropy(self.model(self.x), self.target)
        self.optimizer.zero_grad(set_to_none=True)
        self.loss.backward()
        self.optimizer.step()


def flops_of(widths, batch):
    return sum((4 if i == 0 else 6) * batch * a * b for i, (a, b) in enumerate(zip(widths, widths[1:])))


def run_products(bench, name, widths, batch, tf32):
    """Measures only the products of a step."""
    row = make_row("products", name, "tf32" if tf32 else "f32", flops_of(widths, batch))
    made = [
        [torch.randn(*shape, device=bench.device) for shape in ((batch, a), (b, a), (batch, b))]
        for a, b in zip(widths, widths[1:])
    ]
    results = []

    @torch.no_grad()
    def step():
        results.clear()
        for i, (x, weight, gradient) in enumerate(made):
            results.append(torch.mm(x, weight.T))
            results.append(torch.mm(gradient.T, x))
            if i > 0:
                results.append(torch.mm(gradient, weight))

    if bench.on_gpu:
        bench.run(row, "captured", bench.capture(step).replay)
    else:
        bench.run(row, "eager", step)
    require_finite(row, results[0])


def run_training(bench):
    for name, widths, batch in NETS[:3] if bench.options.quick else NETS:
        if not bench.wanted(name):
            continue
        for tf32 in (False, True) if bench.on_gpu and name in LARGE else (False,):
            allow_tf32(tf32)
            precision = "tf32" if tf32 else "f32"
            for adam in (False, True):
                row = make_row("training", name, f"{'adam' if adam else 'sgd'} {precision}", flops_of(widths, batch))
                eager = Training(bench, widths, batch, adam, captured=False)
                bench.run(row, "eager", eager.step)
                require_finite(row, eager.loss)
                del eager
                if bench.on_gpu:
                    training = Training(bench, widths, batch, adam, captured=True)
                    bench.run(row, "captured", bench.capture(training.step).replay)
                    require_finite(row, training.loss)
            run_products(bench, name, widths, batch, tf32)
            allow_tf32(False)


# Name, target, number of tensors of the input's shape that are read or written, forward.
LOSSES = [
    ("cross_entropy", "classes", 2, F.cross_entropy),
    ("bce_with_logits", "values", 3, F.binary_cross_entropy_with_logits),
    ("mse", "values", 3, F.mse_loss),
    ("smooth_l1", "values", 3, F.smooth_l1_loss),
    ("kl_div", "distribution", 3, lambda x, t: F.kl_div(x, t, reduction="batchmean")),
    ("log_softmax", "upstream", 5, lambda x, t: F.log_softmax(x, 1)),
    ("sigmoid", "upstream", 5, lambda x, t: torch.sigmoid(x)),
]


def make_data(bench, target, rows, columns):
    x = torch.randn(rows, columns, device=bench.device)
    if target == "classes":
        t = torch.randint(columns, (rows,), device=bench.device)
    elif target == "values":
        t = torch.rand(rows, columns, device=bench.device)
    elif target == "distribution":
        x, t = F.log_softmax(x, 1), F.softmax(torch.randn_like(x), 1)
    else:
        t = torch.randn_like(x)
    return x.requires_grad_(), t


def run_loss(bench, loss, rows, columns):
    name, target, tensors, forward = loss
    size = 4 * tensors * rows * columns + (8 * rows if target == "classes" else 0)
    row = make_row("loss", f"{name}_{rows}x{columns}", "f32", 0, size)
    if not bench.wanted(row["name"]):
        return
    sets = 1 if size < 8e6 else max(1, int(512e6 / size))  # alternate, so that none is in the cache
    torch.manual_seed(1)
    data = [make_data(bench, target, rows, columns) for _ in range(sets)]

    def step(x, t):
        x.grad = None
        result = forward(x, t)
        if target == "upstream":
            result.backward(t)
        else:
            result.backward()

    def turns(steps):
        count = 0

        def next_one():
            nonlocal count
            steps[count % sets]()
            count += 1

        return next_one

    bench.run(row, "eager", turns([lambda x=x, t=t: step(x, t) for x, t in data]))
    for x, _ in data:
        require_finite(row, x.grad)
    if not bench.on_gpu:
        return
    graphs = [bench.capture(lambda x=x, t=t: step(x, t)) for x, t in data]
    bench.run(row, "captured", turns([graph.replay for graph in graphs]))
    for x, _ in data:
        require_finite(row, x.grad)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filter", default="", help="only rows whose name contains this")
    parser.add_argument("--quick", action="store_true", help="small shapes, few repetitions; the figures have no meaning")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    bench = Bench(parser.parse_args())
    if bench.on_gpu and not torch.cuda.is_available():
        print("torch_bench: skipped: torch sees no GPU", file=sys.stderr)
        sys.exit(77)
    print(f"torch {torch.__version__}, CUDA {torch.version.cuda}", file=sys.stderr)
    run_ceilings(bench)
    run_training(bench)
    for loss in LOSSES:
        for rows, columns in [(128, 10), (64, 33)] if bench.options.quick else SHAPES:
            run_loss(bench, loss, rows, columns)


if __name__ == "__main__":
    main()
