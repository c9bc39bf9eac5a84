"""Activations: one input, scalar options."""

import torch
import torch.nn.functional as F

from suite import Case, Op
from values import DTYPES, F32, F64, REGIMES

SHAPES = [(), (1,), (7,), (3, 5), (2, 3, 4), (1, 4, 1), (19,), (0, 3)]
ROW_SHAPES = [(), (1,), (6,), (3, 5), (2, 3, 4), (4, 1, 3), (2, 2, 3, 2), (0, 3)]


def in_vector_body(function):
    """Pads the input, because PyTorch's vector body and scalar tail treat NaN differently in elu and hardtanh."""

    def padded(x, **options):
        flat = x.reshape(-1)
        return function(F.pad(flat, (0, -flat.numel() % 64)), **options)[: flat.numel()].reshape(x.shape)

    return padded


def unary(function, options=None, kinks=lambda options: (0.0,), count=48, valid=lambda row: True, positive=False, **op):
    """Adds a pointwise op: options x shapes x regimes x dtypes. `positive` keeps regular values in the domain of log."""
    factors = {"dtype": DTYPES, "shape": SHAPES, "regime": REGIMES, **(options or {})}

    def make(draw, row):
        chosen = {name: row[name] for name in options or {} if row[name] is not None}
        x = draw.regime(row["regime"], row["shape"], row["dtype"], kinks(chosen))
        if positive and row["regime"] not in ("kink", "special"):
            x = x.abs()
        return Case({"input": x}, chosen, grad_of=("input",), second=row["regime"] != "special")

    return Op(lambda suite: suite.cover(factors, count, make, valid), function, **op)


def along_dim(function, count=68):
    """Adds softmax and related ops: every axis, counted from both ends; ties, -inf entries, rows of -inf."""
    factors = {
        "dtype": DTYPES,
        "shape": ROW_SHAPES,
        "axis": [0, 1, -1, "last"],
        "regime": [*REGIMES, "shifted", "masked"],
    }

    def make(draw, row):
        shape, regime = row["shape"], row["regime"]
        rank = max(len(shape), 1)
        dim = rank - 1 if row["axis"] == "last" else max(-rank, min(row["axis"], rank - 1))
        if regime == "shifted":
            x = draw.normal(shape, row["dtype"], shift=draw.rng.choice([1e3, -1e3]))
        elif regime == "masked":
            x = draw.pick(shape, [-float("inf"), 0.5, -1.0, 2.0, 1.25], row["dtype"])
        else:
            x = draw.regime(regime, shape, row["dtype"])
        return Case({"input": x}, {"dim": dim}, grad_of=("input",), second=regime != "special")

    def fill(suite):
        suite.cover(factors, count, make)
        for shape, dim in [((), 1), ((3,), 1), ((2, 3), -3), ((2, 3), 2)]:
            suite.error({"input": suite.draw.normal(shape, F32)}, {"dim": dim})

    return Op(fill, function, saturates="small")


def with_errors(op, *options):
    """Adds `op` and calls with invalid options."""

    def fill(suite):
        op.fill(suite)
        for chosen in options:
            suite.error({"input": suite.draw.normal((3,), F64)}, chosen)

    return Op(fill, op.torch, op.reference)


def linear(input, weight, bias=None):
    return F.linear(input, weight, bias)


def _fill_linear(suite):
    factors = {
        "dtype": DTYPES,
        "lead": [(), (1,), (4,), (2, 3), (2, 1, 2), (0,)],
        "features": [(3, 2), (1, 1), (5, 4), (1, 3), (4, 1), (17, 9)],
        "bias": [True, False],
        "regime": ["normal", "wide", "kink"],
        "grad": ["all", "some"],
    }

    def make(draw, row):
        (fan_in, fan_out), dtype = row["features"], row["dtype"]
        inputs = {
            "input": draw.regime(row["regime"], (*row["lead"], fan_in), dtype),
            "weight": draw.normal((fan_out, fan_in), dtype),
        }
        if row["bias"]:
            inputs["bias"] = draw.normal((fan_out,), dtype)
        grad_of = list(inputs) if row["grad"] == "all" else draw.subset(list(inputs))
        return Case(inputs, grad_of=tuple(grad_of))

    suite.cover(factors, 72, make)
    draw = suite.draw
    for x, w, b in [((2, 3), (4, 2), None), ((2, 3), (4, 3), (3,)), ((3,), (4, 2), None)]:
        inputs = {"input": draw.normal(x, F32), "weight": draw.normal(w, F32)}
        suite.error(inputs if b is None else {**inputs, "bias": draw.normal(b, F32)})
    suite.error({"input": draw.normal((2, 3), F32), "weight": draw.normal((4, 3), F64)})
    suite.error({"input": draw.integers((2, 3), 0, 5), "weight": draw.normal((4, 3), F32)})


OPS = {
    "relu": unary(F.relu),
    "sigmoid": unary(torch.sigmoid, saturates="to zero"),
    "logsigmoid": unary(F.logsigmoid, saturates="to zero"),
    "tanh": unary(torch.tanh, saturates="to zero"),
    "softplus": unary(
        F.softplus,
        {"beta": [None, 1.0, 2.0, 0.5], "threshold": [None, 20.0, 1.0, 4.0]},
        lambda o: (0.0, o.get("threshold", 20.0) / o.get("beta", 1.0)),
        count=64,
    ),
    "gelu": unary(F.gelu, {"approximate": [None, "none", "tanh"]}, count=60, saturates="to zero"),
    "silu": unary(F.silu, saturates="to zero"),
    "elu": unary(in_vector_body(F.elu), {"alpha": [None, 1.0, 0.5, 2.0, 0.0, -1.0]}, count=60),
    "leaky_relu": unary(F.leaky_relu, {"negative_slope": [None, 0.01, 0.25, 0.0, 1.0, -0.5]}, count=60),
    "hardtanh": with_errors(
        unary(
            in_vector_body(F.hardtanh),
            {"min_val": [None, -1.0, -0.5, 0.25], "max_val": [None, 1.0, 2.0, 0.5]},
            lambda o: (o.get("min_val", -1.0), o.get("max_val", 1.0)),
            count=64,
        ),
        {"min_val": 1.0, "max_val": -1.0},
        {"min_val": 2.0},
    ),
    "softmax": along_dim(F.softmax),
    "log_softmax": along_dim(F.log_softmax),
    "softmin": along_dim(F.softmin),
    "linear": Op(_fill_linear, linear),
}
