"""Sorting, running sums and products, and einsum."""

import torch

from reductions import reduction
from suite import Case, Op
from values import DTYPES, F32, F64

SHAPES = [(), (1,), (7,), (3, 5), (2, 3, 4), (300,), (2, 250), (0, 3)]
REGIMES = ["normal", "wide", "extreme", "special", "ties"]


def ordered(function, options, valid=lambda row: True, bad=()):
    """Sorts: values and indices. Ties, NaN, infinities, short and long rows; integers too."""
    factors = {"dtype": DTYPES, "shape": SHAPES, "dim": [None, 0, -1, 1], "regime": REGIMES, **options}

    def fits(row):
        rank = max(len(row["shape"]), 1)
        return (row["dim"] is None or -rank <= row["dim"] < rank) and valid(row)

    def make(draw, row):
        shape, regime = row["shape"], row["regime"]
        x = draw.grid(shape, row["dtype"], 2) if regime == "ties" else draw.regime(regime, shape, row["dtype"])
        chosen = {name: row[name] for name in ("dim", *options) if row[name] is not None}
        return Case({"input": x}, chosen, grad_of=("input",), second=regime != "special")

    def fill(suite):
        suite.cover(factors, 40, make, fits)
        chosen = {name: values[-1] for name, values in options.items()}
        for dtype, low in [(torch.int64, -(10**12)), (torch.int64, -3), (torch.uint8, 0)]:
            suite.add(Case({"input": suite.draw.integers((3, 40), low, -low or 256, dtype)}, chosen))
        for shape, wrong in bad:
            suite.error({"input": suite.draw.normal(shape, F32)}, {**chosen, **wrong})

    return Op(fill, function)


def _sort(x, dim=-1, descending=False):
    return tuple(torch.sort(x, dim=dim, descending=descending, stable=True))


def _topk(x, k, dim=-1, largest=True):
    """The first k of a stable sort: PyTorch's choice among equal elements is not defined."""
    values, indices = torch.sort(x, dim=dim, descending=largest, stable=True)
    if x.dim() == 0:
        return values, indices
    return values.narrow(dim, 0, k), indices.narrow(dim, 0, k)


def _k_fits(row):
    shape, dim = row["shape"], -1 if row["dim"] is None else row["dim"]
    return row["k"] <= (shape[dim] if shape and -len(shape) <= dim < len(shape) else 1)


def running(function):
    """cumsum or cumprod: zeros among the elements too."""
    factors = {
        "dtype": DTYPES,
        "shape": [(), (1,), (7,), (3, 5), (2, 3, 4), (33,), (0, 3)],
        "dim": [0, -1, 1],
        "regime": ["normal", "kink", "tiny", "special"],
    }

    def make(draw, row):
        x = draw.regime(row["regime"], row["shape"], row["dtype"], (0.0, 1.0, 2.0))
        # The gradient of infinities times zeros depends on the order of the products.
        grad_of = () if row["regime"] == "special" else ("input",)
        return Case({"input": x}, {"dim": row["dim"]}, grad_of=grad_of, second=row["regime"] in ("normal", "kink"))

    def fill(suite):
        suite.cover(factors, 40, make, lambda row: row["dim"] < max(len(row["shape"]), 1))
        for dtype, high in [(torch.int64, 9), (torch.uint8, 256), (torch.bool, 2)]:
            suite.add(Case({"input": suite.draw.integers((3, 4), 0, high, dtype)}, {"dim": 1}))
        suite.error({"input": suite.draw.normal((3,), F32)}, {"dim": 1})

    return Op(fill, function)


EQUATIONS = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("bij,bjk->bik", [(2, 3, 4), (2, 4, 2)]),
    ("bhqd,bhkd->bhqk", [(2, 2, 3, 4), (2, 2, 5, 4)]),
    ("i,i->", [(5,), (5,)]),
    ("i,j->ij", [(3,), (4,)]),
    ("ii->i", [(4, 4)]),
    ("ii", [(4, 4)]),
    ("ij->ji", [(2, 3)]),
    ("ij->", [(2, 3)]),
    ("ba", [(2, 3)]),
    ("...ij,...jk->...ik", [(2, 3, 4), (4, 2)]),
    ("...i->...", [(2, 3, 4)]),
    ("ij,ij->ij", [(2, 3), (2, 3)]),
    ("ij,kj,k->i", [(2, 3), (4, 3), (4,)]),
    ("bn,anm,bm->ba", [(2, 3), (4, 3, 5), (2, 5)]),
    ("ij,jk->k", [(2, 3), (3, 4)]),
    ("aij,jbk->kab", [(2, 3, 4), (4, 2, 3)]),
    (" i j , j k -> k i ", [(2, 3), (3, 4)]),
]


def _einsum(*operands, equation):
    return torch.einsum(equation, *operands)


def _fill_einsum(suite):
    names = ("a", "b", "c")
    for number, (equation, shapes) in enumerate(EQUATIONS):
        for dtype in DTYPES:
            regime = "normal" if (number + (dtype == F64)) % 2 else "kink"
            inputs = {n: suite.draw.regime(regime, s, dtype) for n, s in zip(names, shapes)}
            suite.add(Case(inputs, {"equation": equation}, grad_of=tuple(inputs)))
    for equation, shapes in [
        ("ij,jk->ik", [(2, 3), (2, 4)]),
        ("ij->i", [(3,)]),
        ("i,i->", [(3,)]),
        ("i->j", [(3,)]),
        ("i->ii", [(3,)]),
        ("i$->i", [(3,)]),
    ]:
        suite.error({n: suite.draw.normal(s, F32) for n, s in zip(names, shapes)}, {"equation": equation})


def _prod(x, dim=None, keepdim=False):
    """PyTorch takes one dim: the others one after the other."""
    if dim is None:
        return torch.prod(x)
    dims = sorted((d % max(x.dim(), 1) for d in ([dim] if isinstance(dim, int) else dim)), reverse=True)
    for d in dims:
        x = torch.prod(x, d, keepdim=keepdim)
    return x


def _infinite(case):
    """PyTorch's gradient of several zeros is 0 whatever the others are."""
    return not torch.isfinite(case.inputs["input"]).all()


OPS = {
    "sort": ordered(_sort, {"descending": [None, False, True]}, bad=[((3,), {"dim": 1})]),
    "topk": ordered(
        _topk,
        {"largest": [None, False, True], "k": [0, 3, 1]},
        lambda row: _k_fits(row) and (row["shape"] != () or row["k"] == 1),
        bad=[((3,), {"k": 4}), ((3,), {"dim": 1})],
    ),
    "cumsum": running(torch.cumsum),
    "cumprod": running(torch.cumprod),
    "prod": reduction(_prod, whole=True, empty=True, count=40, unfit=_infinite),
    "einsum": Op(_fill_einsum, _einsum),
}
