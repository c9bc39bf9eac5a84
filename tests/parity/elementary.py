"""Trigonometry, rounding, reciprocals and tests for special values."""

import torch

from activations import SHAPES, unary
from arithmetic import ALL, binary
from suite import Case, Op
from values import DTYPES, REGIMES

HALVES = (0.5, -0.5, 1.5, 2.0, -2.5)


def _apart(a, b, regime):
    """Away from quotients that are nearly integers, where one rounding moves a remainder by its divisor."""
    if regime in ("special", "kink"):
        return a, b
    b = torch.where(b >= 0, b + 0.25, b - 0.25)
    whole, rest = torch.trunc(a.double() / b.double()), torch.fmod(a.double(), b.double()).abs() / b.double().abs()
    bad = (rest < 0.05) | (rest > 0.95) | (whole.abs() > 1e4)
    return torch.where(bad, torch.full_like(a, 0.375), a), torch.where(bad, torch.ones_like(b), b)


def _told(function):
    """A test of elements: bool, without gradient; of integers too."""
    factors = {"dtype": [*DTYPES, torch.int64], "shape": SHAPES, "regime": REGIMES}

    def make(draw, row):
        if row["dtype"] == torch.int64:
            return Case({"input": draw.integers(row["shape"], -3, 4)})
        return Case({"input": draw.regime(row["regime"], row["shape"], row["dtype"])})

    return Op(lambda suite: suite.cover(factors, 24, make), function)


def _fill_erfinv(suite):
    factors = {"dtype": DTYPES, "shape": SHAPES, "regime": ["inside", "tail", "tiny", "special"]}

    def make(draw, row):
        regime, shape, dtype = row["regime"], row["shape"], row["dtype"]
        if regime == "inside":
            x = draw.uniform(shape, dtype, -0.95, 0.95)
        elif regime == "tail":
            x = draw.signed(shape, [0.96875, 0.984375, 0.99609375, 0.9990234375], dtype)
        elif regime == "tiny":
            x = draw.regime("tiny", shape, dtype)
        else:
            x = draw.pick(shape, [1.0, -1.0, 0.0, -0.0, 1.5, -2.0, float("nan"), 0.5], dtype)
        return Case({"input": x}, grad_of=("input",), second=regime != "special")

    suite.cover(factors, 40, make)


OPS = {
    "sin": unary(torch.sin, count=36),
    "cos": unary(torch.cos, count=36),
    "tan": unary(torch.tan, count=36),
    "erfinv": Op(_fill_erfinv, torch.erfinv),
    "rsqrt": unary(torch.rsqrt, positive=True, count=36),
    "reciprocal": unary(torch.reciprocal, kinks=lambda o: (0.5, 1.0), count=36),
    "floor": unary(torch.floor, kinks=lambda o: HALVES, count=36),
    "ceil": unary(torch.ceil, kinks=lambda o: HALVES, count=36),
    "round": unary(torch.round, kinks=lambda o: HALVES, count=36),
    "trunc": unary(torch.trunc, kinks=lambda o: HALVES, count=36),
    "atan2": binary(torch.atan2, ALL, count=40),
    "fmod": binary(torch.fmod, ["normal", "wide", "kink", "special"], prepare=_apart, count=40),
    "isnan": _told(torch.isnan),
    "isinf": _told(torch.isinf),
    "isfinite": _told(torch.isfinite),
}
