"""The rarer activations."""

import torch
import torch.nn.functional as F

from activations import in_vector_body, unary, with_errors
from suite import Case, Op
from values import DTYPES, F32, F64, REGIMES


def _fill_prelu(suite):
    factors = {
        "dtype": DTYPES,
        "shapes": [((), ()), ((7,), (1,)), ((3, 5), (1,)), ((3, 5), (5,)), ((2, 3, 4), (3,)), ((0, 3), (3,))],
        "regime": REGIMES,
        "grad": ["both", "one"],
    }
    names = ("input", "weight")

    def make(draw, row):
        shape, weights = row["shapes"]
        x = draw.regime(row["regime"], shape, row["dtype"])
        inputs = {"input": x, "weight": draw.normal(weights, row["dtype"])}
        grad_of = names if row["grad"] == "both" else (draw.rng.choice(names),)
        # At input 0 PyTorch's mixed second derivative is 0, where the first one is the weight.
        return Case(inputs, grad_of=grad_of, second=row["regime"] not in ("special", "kink"))

    suite.cover(factors, 40, make)
    draw = suite.draw
    for x, weights in [((2, 3), (2,)), ((3,), (3,)), ((2, 3), (3, 1))]:
        suite.error({"input": draw.normal(x, F32), "weight": draw.normal(weights, F32)})
    suite.error({"input": draw.normal((2, 3), F32), "weight": draw.normal((3,), F64)})


def _fill_glu(suite):
    factors = {
        "dtype": DTYPES,
        "shape": [(2,), (6,), (4, 6), (2, 4, 2), (4, 2, 6), (0, 4)],
        "dim": [None, 0, -1, 1],
        "regime": REGIMES,
    }

    def valid(row):
        dim = -1 if row["dim"] is None else row["dim"]
        return dim < len(row["shape"]) and row["shape"][dim] > 0

    def make(draw, row):
        options = {} if row["dim"] is None else {"dim": row["dim"]}
        x = draw.regime(row["regime"], row["shape"], row["dtype"])
        return Case({"input": x}, options, grad_of=("input",), second=row["regime"] != "special")

    suite.cover(factors, 40, make, valid)
    for shape, dim in [((3,), 0), ((), 0), ((2, 4), 2), ((2, 3), 1)]:
        suite.error({"input": suite.draw.normal(shape, F32)}, {"dim": dim})


def _cancels(case):
    """Near 0 PyTorch's gradient, 1 - (1 - tanh^2), is a rounding error."""
    return bool((case.inputs["input"].abs() < 1e-3).all())


def hardsigmoid(x):
    """PyTorch's gradient in f64 is the float 1/6."""
    return F.hardtanh(x + 3, 0.0, 6.0) / 6


def bound(options):
    lambd = options.get("lambd", 0.5)
    return (lambd, -lambd)


OPS = {
    "selu": unary(in_vector_body(F.selu), count=36),
    "celu": with_errors(unary(in_vector_body(F.celu), {"alpha": [None, 1.0, 0.5, 2.0, -1.0]}, count=36), {"alpha": 0.0}),
    "relu6": unary(in_vector_body(F.relu6), kinks=lambda o: (0.0, 6.0), count=36),
    "mish": unary(F.mish, count=36, saturates="to zero"),
    "hardswish": unary(in_vector_body(F.hardswish), kinks=lambda o: (-3.0, 3.0, 0.0), count=36),
    "hardsigmoid": unary(
        in_vector_body(F.hardsigmoid),
        kinks=lambda o: (-3.0, 3.0),
        count=36,
        reference=in_vector_body(hardsigmoid),
        torch_twice=False,
    ),
    "hardshrink": unary(in_vector_body(F.hardshrink), {"lambd": [None, 0.5, 0.0, 1.25]}, bound, count=36),
    "softshrink": with_errors(
        unary(in_vector_body(F.softshrink), {"lambd": [None, 0.5, 0.0, 1.25]}, bound, count=36), {"lambd": -1.0}
    ),
    "tanhshrink": unary(F.tanhshrink, count=36, saturates="to zero", unfit=_cancels),
    "softsign": unary(F.softsign, count=36),
    "threshold": unary(
        F.threshold,
        {"threshold": [0.5, 0.0, -1.0], "value": [7.0, 0.0, -0.5]},
        lambda o: (o["threshold"],),
        count=36,
    ),
    "prelu": Op(_fill_prelu, F.prelu),
    "glu": Op(_fill_glu, F.glu, saturates="to zero"),
}
