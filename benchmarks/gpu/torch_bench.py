#!/usr/bin/env python3
"""Measures the rows of ebb-gpu-bench in PyTorch, eager and as a CUDA graph, and prints the same JSON lines.

    torch_bench.py [--filter TEXT] [--quick] [--device cuda|cpu]

Eager steps use PyTorch's defaults. Captured steps use its fused optimizers, which are its fastest.
Exit status 77: torch cannot be imported or finds no GPU, and nothing was measured.
"""
import argparse
import sys

from peers import LARGE, NETS, Timer, add_options, flops_of, make_row
from peers import require_finite as require_finite_sum

try:
    import torch
    import torch.nn.functional as F
except ImportError as error:
    print(f"torch_bench: skipped: {error}", file=sys.stderr)
    sys.exit(77)

SHAPES = [(128, 10), (4096, 1000), (16384, 4096), (256, 50257)]


class Bench:
    def __init__(self, options):
        self.options = options
        self.device = torch.device(options.device)
        self.on_gpu = self.device.type == "cuda"
        self.run = Timer("torch", options, torch.cuda.synchronize if self.on_gpu else lambda: None).run

    def wanted(self, name):
        return self.options.filter in name

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
    require_finite_sum("torch_bench", row, result.detach().double().sum().item())


def allow_tf32(on):
    torch.set_float32_matmul_precision("high" if on else "highest")
    torch.backends.cudnn.allow_tf32 = on


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


class EpochTraining:
    """Epochs of pictures on the device: a copy of the batch's part of a random order, and a graph that gathers the batch."""

    def __init__(self, bench, count):
        self.bench, self.count, device = bench, count, bench.device
        self.data = torch.randint(256, (count, 784), dtype=torch.uint8, device=device)
        self.classes = torch.arange(count, device=device) % 10
        self.index = torch.arange(64, device=device)
        self.total = torch.zeros((), dtype=torch.float64, device=device)
        self.correct = torch.zeros((), dtype=torch.int64, device=device)
        nn = torch.nn
        self.model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)).to(device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9, fused=True)
        self.graph = bench.capture(lambda: self.step(self.index))

    def step(self, index):
        x = self.data.index_select(0, index).to(torch.float32).div_(255)
        target = self.classes.index_select(0, index)
        scores = self.model(x)
        loss = F.cross_entropy(scores, target)
        with torch.no_grad():
            self.total += loss * len(index)
            self.correct += (scores.argmax(1) == target).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

    def epoch(self):
        self.total.zero_()
        self.correct.zero_()
        order = torch.randperm(self.count, device=self.bench.device)
        for index in order.split(64):
            if len(index) == 64:
                self.index.copy_(index)
                self.graph.replay()
            else:
                self.step(index)
        self.loss = self.total / self.count
        return self.loss.item()


def run_epochs(bench):
    count = 96 if bench.options.quick else 60000
    row = make_row("epoch", "epoch_60000x784_mlp_784_128_10_b64", "sgd f32", count * (4 * 784 + 6 * 10) * 128)
    if not bench.on_gpu or not bench.wanted(row["name"]):
        return
    training = EpochTraining(bench, count)
    bench.run(row, "captured", training.epoch)
    require_finite(row, training.loss)


class ConvTraining:
    def __init__(self, bench, model, shape):
        self.model = model.to(bench.device)
        self.optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, fused=bench.on_gpu)
        self.x = torch.randn(shape, device=bench.device)
        self.target = torch.arange(shape[0], device=bench.device) % 10

    def __call__(self):
        loss = F.cross_entropy(self.model(self.x), self.target)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()


def lenet(bench):
    nn = torch.nn
    model = nn.Sequential(
        *[nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)],
    )
    return ConvTraining(bench, model, (128, 1, 28, 28))


def convnet(bench):
    nn = torch.nn
    layers, widths = [], [3, 64, 64, 128, 128]
    for i in range(4):
        layers += [nn.Conv2d(widths[i], widths[i + 1], 3, padding=1), nn.BatchNorm2d(widths[i + 1]), nn.ReLU()]
        if i in (1, 2):
            layers.append(nn.MaxPool2d(2))
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))
    return ConvTraining(bench, model, (128, 3, 32, 32))


def layer_step(module, *shape):
    """Returns a function that makes forward and backward with respect to the input and all parameters."""

    def make(bench):
        layer = module.to(bench.device)
        x = torch.randn(*shape, device=bench.device, requires_grad=True)

        def forward():
            y = layer(x)
            return y[0] if isinstance(y, tuple) else y

        upstream = torch.randn_like(forward())

        def step():
            x.grad = None
            layer.zero_grad(set_to_none=True)
            forward().backward(upstream)

        return step

    return make


def embedding(bench):
    layer = torch.nn.Embedding(50000, 128).to(bench.device)
    indices = torch.randint(50000, (64, 128), device=bench.device)
    upstream = torch.randn(64, 128, 128, device=bench.device)

    def step():
        layer.zero_grad(set_to_none=True)
        layer(indices).backward(upstream)

    return step


def attention(bench):
    qkv = [torch.randn(16, 8, 512, 64, device=bench.device, requires_grad=True) for _ in range(3)]
    upstream = torch.randn(16, 8, 512, 64, device=bench.device)

    def step():
        for t in qkv:
            t.grad = None
        F.scaled_dot_product_attention(*qkv).backward(upstream)

    return step


# Name, whether products limit it (then it is measured in TF32 too), function that makes a step.
LAYERS = [
    ("lenet_b128", True, lenet),
    ("convnet_4x3x3_bn_b128", True, convnet),
    ("conv2d_64_64_k3_b32_56x56", True, layer_step(torch.nn.Conv2d(64, 64, 3, padding=1), 32, 64, 56, 56)),
    ("conv2d_256_256_k3_b64_14x14", True, layer_step(torch.nn.Conv2d(256, 256, 3, padding=1), 64, 256, 14, 14)),
    (
        "conv2d_128_256_k3_s2_b64_28x28",
        True,
        layer_step(torch.nn.Conv2d(128, 256, 3, stride=2, padding=1), 64, 128, 28, 28),
    ),
    (
        "conv2d_depthwise_128_k3_b64_28x28",
        True,
        layer_step(torch.nn.Conv2d(128, 128, 3, padding=1, groups=128), 64, 128, 28, 28),
    ),
    (
        "conv_transpose2d_64_32_k4_s2_b64_16x16",
        True,
        layer_step(torch.nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), 64, 64, 16, 16),
    ),
    ("max_pool2d_64x64x56x56", False, layer_step(torch.nn.MaxPool2d(2), 64, 64, 56, 56)),
    ("batch_norm2d_64x64x56x56", False, layer_step(torch.nn.BatchNorm2d(64), 64, 64, 56, 56)),
    ("layer_norm_8192x1024", False, layer_step(torch.nn.LayerNorm(1024), 8192, 1024)),
    ("embedding_50000x128_64x128", False, embedding),
    ("attention_b16_h8_t512_d64", True, attention),
    ("lstm_128_256_t64_b64", True, layer_step(torch.nn.LSTM(128, 256), 64, 64, 128)),
    ("gru_128_256_t64_b64", True, layer_step(torch.nn.GRU(128, 256), 64, 64, 128)),
]


def run_layers(bench):
    for name, products, make in LAYERS[:1] if bench.options.quick else LAYERS:
        for tf32 in (False, True) if products and bench.on_gpu else (False,):
            row = make_row("layer", name, "tf32" if tf32 else "f32")
            if not bench.wanted(name):
                continue
            allow_tf32(tf32)
            torch.manual_seed(1)
            step = make(bench)
            bench.run(row, "eager", step)
            if bench.on_gpu:
                try:
                    replay = bench.capture(step).replay
                except RuntimeError as error:  # an op of PyTorch that cannot be captured
                    print(f"torch_bench: {name} captured: {str(error).splitlines()[0]}", file=sys.stderr)
                    torch.cuda.synchronize()
                else:
                    bench.run(row, "captured", replay)
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
    add_options(parser)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    bench = Bench(parser.parse_args())
    if bench.on_gpu and not torch.cuda.is_available():
        print("torch_bench: skipped: torch sees no GPU", file=sys.stderr)
        sys.exit(77)
    print(f"torch {torch.__version__}, CUDA {torch.version.cuda}", file=sys.stderr)
    run_ceilings(bench)
    run_training(bench)
    run_epochs(bench)
    run_layers(bench)
    for loss in LOSSES:
        for rows, columns in [(128, 10), (64, 33)] if bench.options.quick else SHAPES:
            run_loss(bench, loss, rows, columns)


if __name__ == "__main__":
    main()
