"""Extremes with indices, truth, variance, norms, and products under other names."""

import torch
import torch.nn.functional as F

from reductions import reduction
from suite import Case, Op
from values import DTYPES, F32, F64, INF, REGIMES

SHAPES = [(), (1,), (7,), (3, 5), (2, 3, 4), (33,), (2, 2, 3, 2), (0, 3)]
CALM = ["normal", "wide", "kink"]


def _dims(row, axes):
    """The axis counted from either end, or None when the shape has no such axis."""
    rank = max(len(row["shape"]), 1)
    return -rank <= axes < rank


def extreme(function):
    """max or min along a dim: values and indices; ties and NaN too."""
    factors = {
        "dtype": DTYPES,
        "shape": SHAPES,
        "dim": [0, -1, 1, -2],
        "keepdim": [None, False, True],
        "regime": [*REGIMES, "ties"],
    }

    def valid(row):
        shape, dim = row["shape"], row["dim"]
        return _dims(row, dim) and (not shape or shape[dim] > 0)

    def make(draw, row):
        shape, regime = row["shape"], row["regime"]
        x = draw.grid(shape, row["dtype"], 2) if regime == "ties" else draw.regime(regime, shape, row["dtype"])
        options = {name: row[name] for name in ("dim", "keepdim") if row[name] is not None}
        return Case({"input": x}, options, grad_of=("input",), second=regime != "special")

    def fill(suite):
        suite.cover(factors, 48, make, valid)
        for dtype in (torch.int64, torch.uint8, torch.bool):
            suite.add(Case({"input": suite.draw.integers((3, 4), 0, 2, dtype)}, {"dim": 1}))
        for shape, dim in [((3,), 1), ((2, 3), -3), ((0, 3), 0)]:
            suite.error({"input": suite.draw.normal(shape, F32)}, {"dim": dim})

    return Op(fill, lambda x, **options: tuple(function(x, **options)))


def truth(function):
    """any or all. PyTorch gives u8 of u8, Ebb bool: left out."""
    factors = {
        "dtype": [*DTYPES, torch.int64, torch.bool],
        "shape": SHAPES,
        "dim": [None, 0, -1, 1],
        "keepdim": [None, True],
        "zeros": ["few", "many", "all"],
    }

    def valid(row):
        return row["keepdim"] is None if row["dim"] is None else _dims(row, row["dim"])

    def make(draw, row):
        values = {"few": [1.0, 1.0, 1.0, 1.0, 0.0], "many": [0.0, 0.0, 0.0, 1.0], "all": [0.0]}[row["zeros"]]
        options = {name: row[name] for name in ("dim", "keepdim") if row[name] is not None}
        return Case({"input": draw.pick(row["shape"], values).to(row["dtype"])}, options)

    def fill(suite):
        suite.cover(factors, 40, make, valid)
        suite.add(Case({"input": torch.tensor([float("nan"), 0.0])}))
        suite.error({"input": suite.draw.normal((3,), F32)}, {"dim": 1})

    return Op(fill, function)


def _var(function):
    """Variance and deviation: all elements or some axes, every correction."""
    factors = {
        "dtype": DTYPES,
        "shape": [(7,), (3, 5), (2, 3, 4), (33,), (2, 2, 3, 2)],
        "dim": [None, 0, -1, [0, 1], [0, 2]],
        "correction": [None, 1, 0, 0.5],
        "keepdim": [None, True],
        "regime": ["normal", "wide", "kink"],
    }

    def valid(row):
        rank, dim = len(row["shape"]), row["dim"]
        return dim is None or isinstance(dim, int) or max(dim) < rank

    def make(draw, row):
        x = draw.regime(row["regime"], row["shape"], row["dtype"])
        options = {name: row[name] for name in ("dim", "correction", "keepdim") if row[name] is not None}
        return Case({"input": x}, options, grad_of=("input",))

    def fill(suite):
        suite.cover(factors, 48, make, valid)
        draw = suite.draw
        suite.add(Case({"input": torch.full((2, 3), 1.5)}, {"dim": 1}, grad_of=("input",), second=False))
        suite.add(Case({"input": draw.normal((3, 1), F32)}, {"dim": 1}))
        for dim in (1, [0, 0]):
            suite.error({"input": draw.normal((3,), F32)}, {"dim": dim})
        suite.error({"input": draw.integers((3,), 0, 9)})

    def call(x, dim=None, correction=1, keepdim=False):
        return function(x, dim=dim, correction=correction, keepdim=keepdim)

    return Op(fill, call)


def _norm(x, p=2.0, dim=None, keepdim=False):
    if dim is None and keepdim:
        dim = list(range(x.dim()))
    return torch.linalg.vector_norm(x, p, dim=dim, keepdim=keepdim)


def _fill_norm(suite):
    factors = {
        "dtype": DTYPES,
        "shape": [(7,), (3, 5), (2, 3, 4), (33,)],
        "p": [None, 2.0, 1.0, 3.0, INF, -INF, 0.0, 0.5],
        "dim": [None, 0, -1, [0, 1]],
        "keepdim": [None, True],
        "regime": ["normal", "wide", "kink"],
    }

    def valid(row):
        rank, dim = max(len(row["shape"]), 1), row["dim"]
        calm = row["p"] in (None, 1.0, 2.0) or row["regime"] != "kink"
        return calm and (dim is None or isinstance(dim, int) or max(dim) < rank)

    def make(draw, row):
        x = draw.regime(row["regime"], row["shape"], row["dtype"])
        options = {name: row[name] for name in ("p", "dim", "keepdim") if row[name] is not None}
        smooth = row["regime"] != "kink" and row["p"] not in (0.0, INF, -INF)
        return Case({"input": x}, options, grad_of=("input",), second=smooth)

    suite.cover(factors, 64, make, valid)
    suite.add(Case({"input": torch.zeros(3)}, grad_of=("input",), second=False))
    suite.error({"input": suite.draw.normal((3,), F32)}, {"dim": 1})
    suite.error({"input": suite.draw.integers((3,), 0, 9)})


def _fill_normalize(suite):
    factors = {
        "dtype": DTYPES,
        "shape": [(7,), (3, 5), (2, 3, 4)],
        "p": [None, 2.0, 1.0],
        "dim": [0, -1, 1],
        "eps": [None, 1.5],
        "regime": ["normal", "wide"],
    }

    def make(draw, row):
        x = draw.regime(row["regime"], row["shape"], row["dtype"])
        options = {name: row[name] for name in ("p", "dim", "eps") if row[name] is not None}
        return Case({"input": x}, options, grad_of=("input",))

    suite.cover(factors, 36, make, lambda row: row["dim"] < len(row["shape"]))
    suite.add(Case({"input": torch.zeros(2, 3)}, grad_of=("input",), second=False))
    suite.error({"input": suite.draw.normal((3,), F32)})


def _fill_cosine(suite):
    factors = {
        "dtype": DTYPES,
        "shapes": [((3, 5), (3, 5)), ((2, 3, 4), (2, 3, 4)), ((3, 1), (1, 4)), ((7,), (7,)), ((2, 3), (3,))],
        "dim": [None, 0, -1],
        "eps": [None, 2.0],
        "grad": ["both", "one"],
    }
    names = ("x1", "x2")

    def make(draw, row):
        inputs = {name: draw.normal(shape, row["dtype"]) for name, shape in zip(names, row["shapes"])}
        options = {name: row[name] for name in ("dim", "eps") if row[name] is not None}
        return Case(inputs, options, grad_of=names if row["grad"] == "both" else (draw.rng.choice(names),))

    suite.cover(factors, 36, make, lambda row: row["dim"] is not None or row["shapes"][0] != (7,))
    draw = suite.draw
    for a, b in [((2, 3), (2, 4)), ((3,), (3,))]:
        suite.error({"x1": draw.normal(a, F32), "x2": draw.normal(b, F32)})


def product(function, good, bad):
    """A product of two tensors."""
    factors = {"dtype": DTYPES, "shapes": good, "regime": CALM, "grad": ["both", "one"]}
    names = ("input", "other")

    def make(draw, row):
        inputs = {n: draw.regime(row["regime"], s, row["dtype"]) for n, s in zip(names, row["shapes"])}
        return Case(inputs, grad_of=names if row["grad"] == "both" else (draw.rng.choice(names),))

    def fill(suite):
        suite.cover(factors, 20, make)
        for a, b in bad:
            suite.error(dict(zip(names, [suite.draw.normal(a, F32), suite.draw.normal(b, F32)])))
        suite.error(dict(zip(names, [suite.draw.normal(good[0][0], F32), suite.draw.normal(good[0][1], F64)])))

    return Op(fill, function)


OPS = {
    "max": extreme(torch.max),
    "min": extreme(torch.min),
    "amin": reduction(torch.amin, whole=True, empty=False, count=40),
    "any": truth(torch.any),
    "all": truth(torch.all),
    "var": _var(torch.var),
    "std": _var(torch.std),
    "norm": Op(_fill_norm, _norm),
    "normalize": Op(_fill_normalize, F.normalize),
    "cosine_similarity": Op(_fill_cosine, F.cosine_similarity),
    "dot": product(torch.dot, [((5,), (5,)), ((1,), (1,)), ((0,), (0,))], [((2,), (3,)), ((1, 2), (2,))]),
    "outer": product(torch.outer, [((3,), (4,)), ((1,), (5,)), ((0,), (2,))], [((2, 2), (2,))]),
    "bmm": product(
        torch.bmm,
        [((2, 3, 4), (2, 4, 5)), ((1, 1, 3), (1, 3, 1)), ((3, 2, 0), (3, 0, 2))],
        [((2, 3, 4), (1, 4, 5)), ((3, 4), (4, 5)), ((2, 3, 4), (2, 3, 4))],
    ),
}
