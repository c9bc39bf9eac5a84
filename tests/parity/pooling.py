"""Pooling in one and two dimensions, with all options of PyTorch."""

import torch
import torch.nn.functional as F

from suite import Case, Op
from values import DTYPES, F32

SHAPES = {1: [(2, 3, 9), (3, 7), (1, 2, 4), (0, 2, 6), (2, 1, 40)], 2: [(1, 2, 6, 7), (2, 5, 5), (1, 1, 3, 8), (0, 2, 5, 6), (1, 1, 4, 37)]}
SIZES = {
    1: {"kernel_size": [2, 3, 1, 4], "stride": [None, 1, 2, 3], "padding": [None, 0, 1], "dilation": [None, 1, 2]},
    2: {
        "kernel_size": [2, 3, [2, 3], [1, 2]],
        "stride": [None, 1, 2, [2, 1]],
        "padding": [None, 0, 1, [1, 0]],
        "dilation": [None, 1, 2, [1, 2]],
    },
}
REGIMES = ["normal", "kink", "wide", "special"]


def _each(value, dims, default):
    """One number for each pooled dim."""
    if value is None:
        return [default] * dims
    return value if isinstance(value, list) else [value] * dims


def _fits(row, dims):
    """Returns True if there is a window on every axis and the padding is not too large."""
    kernel = _each(row["kernel_size"], dims, None)
    padding, dilation = _each(row["padding"], dims, 0), _each(row.get("dilation"), dims, 1)
    for size, k, p, d in zip(row["shape"][-dims:], kernel, padding, dilation):
        if p > k // 2 or size + 2 * p < d * (k - 1) + 1:
            return False
        if d > 1 and p > 0 and size <= p * (d - 1):  # a window that reads no element: undefined in PyTorch
            return False
    return True


def windows(function, dims, options, bad=()):
    """Pooling with windows of a fixed size. `options` follow the sizes."""
    factors = {"dtype": DTYPES, "shape": SHAPES[dims], "regime": REGIMES, **SIZES[dims], **options}
    if "dilation" not in options:
        factors = {name: values for name, values in factors.items() if name != "dilation"}

    def make(draw, row):
        x = draw.regime(row["regime"], row["shape"], row["dtype"])
        names = [name for name in factors if name not in ("dtype", "shape", "regime") and row[name] is not None]
        second = row["regime"] != "special"
        return Case({"input": x}, {name: row[name] for name in names}, grad_of=("input",), second=second)

    def fill(suite):
        suite.cover(factors, 70, make, lambda row: _fits(row, dims))
        shape = SHAPES[dims][0]
        for wrong in [{"kernel_size": 12}, {"kernel_size": 2, "padding": 2}, {"kernel_size": 2, "stride": 0}, *bad]:
            suite.error({"input": suite.draw.normal(shape, F32)}, wrong)
        suite.error({"input": suite.draw.normal((3,), F32)}, {"kernel_size": 1})
        suite.error({"input": suite.draw.normal((2, 2, 2, 2, 2), F32)}, {"kernel_size": 1})
        suite.error({"input": suite.draw.integers(shape, 0, 5)}, {"kernel_size": 2})

    return Op(fill, function)


def adaptive(function, dims, options):
    """Pooling to a given size, also to a larger one."""
    sizes = {1: [1, 2, 3, 7, 10], 2: [1, 3, [2, 3], [5, 1], [None, 2], [7, 9]]}[dims]
    factors = {"dtype": DTYPES, "shape": SHAPES[dims], "regime": REGIMES, "output_size": sizes, **options}

    def make(draw, row):
        x = draw.regime(row["regime"], row["shape"], row["dtype"])
        names = [name for name in ("output_size", *options) if row[name] is not None]
        second = row["regime"] != "special"
        return Case({"input": x}, {name: row[name] for name in names}, grad_of=("input",), second=second)

    def fill(suite):
        suite.cover(factors, 64, make)
        suite.error({"input": suite.draw.normal(SHAPES[dims][0], F32)}, {"output_size": -1})
        suite.error({"input": suite.draw.normal((3,), F32)}, {"output_size": 1})
        suite.error({"input": suite.draw.integers(SHAPES[dims][0], 0, 5)}, {"output_size": 1})

    return Op(fill, function)


def _adaptive(function):
    """JSON has lists; PyTorch takes tuples with None."""

    def call(input, output_size, **options):
        size = tuple(output_size) if isinstance(output_size, list) else output_size
        return function(input, size, **options)

    return call


FLAGS = [None, False, True]
MAX = {"dilation": None, "ceil_mode": FLAGS, "return_indices": [None, True]}
AVERAGE = {"ceil_mode": FLAGS, "count_include_pad": FLAGS}


def _max(dims):
    return {**MAX, "dilation": SIZES[dims]["dilation"]}


OPS = {
    "max_pool1d": windows(F.max_pool1d, 1, _max(1), [{"kernel_size": 2, "dilation": 0}]),
    "max_pool2d": windows(F.max_pool2d, 2, _max(2), [{"kernel_size": [2, 2, 2]}, {"kernel_size": 2, "dilation": 0}]),
    "avg_pool1d": windows(F.avg_pool1d, 1, AVERAGE),
    "avg_pool2d": windows(
        F.avg_pool2d,
        2,
        {**AVERAGE, "divisor_override": [None, 1, 7]},
        [{"kernel_size": 2, "divisor_override": 0}],
    ),
    "adaptive_avg_pool1d": adaptive(F.adaptive_avg_pool1d, 1, {}),
    "adaptive_avg_pool2d": adaptive(_adaptive(F.adaptive_avg_pool2d), 2, {}),
    "adaptive_max_pool1d": adaptive(F.adaptive_max_pool1d, 1, {"return_indices": [None, True]}),
    "adaptive_max_pool2d": adaptive(_adaptive(F.adaptive_max_pool2d), 2, {"return_indices": [None, True]}),
}
