"""Reductions: over everything, over one axis (from either end) or several, with and without keepdim."""

import torch

from suite import Case, Op
from values import DTYPES, F32, INF, REGIMES

SHAPES = [(), (1,), (7,), (3, 5), (2, 3, 4), (2, 1, 3), (33,), (2, 2, 3, 2), (0,), (0, 3)]
ALL_AXES = "all axes"


def _axes(kind, rank):
    """Returns the option `dim` for a kind of reduction, or None if the rank has no such axes."""
    if kind == ALL_AXES:
        return list(range(rank))
    if kind is None or isinstance(kind, int):
        return kind if kind is None or -max(rank, 1) <= kind < max(rank, 1) else None
    fits = all(-rank <= axis < rank for axis in kind) and len({axis % rank for axis in kind}) == len(kind)
    return kind if fits else None


def reduction(function, whole, empty, count=72, **op):
    """Adds a reduction. `whole`: dim may be absent; `empty`: an empty axis has a value."""
    kinds = [0, -1, 1, [0, 1], [-1, 0], [0, 2], ALL_AXES, *([None] if whole else [])]
    factors = {
        "dtype": DTYPES,
        "shape": SHAPES,
        "dim": kinds,
        "keepdim": [None, False, True],
        "regime": [*REGIMES, "ties"],
    }

    def valid(row):
        shape, dim = row["shape"], _axes(row["dim"], len(row["shape"]))
        if dim is None:
            return row["dim"] is None and (empty or 0 not in shape) and row["keepdim"] is None
        axes = [dim] if isinstance(dim, int) else dim
        if not shape:
            return isinstance(dim, int)
        return empty or all(shape[axis] for axis in axes)

    def make(draw, row):
        shape, regime = row["shape"], row["regime"]
        x = draw.grid(shape, row["dtype"], 2) if regime == "ties" else draw.regime(regime, shape, row["dtype"])
        options = {"dim": _axes(row["dim"], len(shape)), "keepdim": row["keepdim"]}
        options = {name: value for name, value in options.items() if value is not None}
        return Case({"input": x}, options, grad_of=("input",), second=regime != "special")

    def fill(suite):
        suite.cover(factors, count, make, valid)
        for shape, dim in [((3,), 1), ((2, 3), -3), ((2, 3), [0, 0]), ((2, 3), [0, 2])]:
            suite.error({"input": suite.draw.normal(shape, F32)}, {"dim": dim})
        if not empty:
            suite.error({"input": torch.zeros((0, 3))}, {"dim": 0})

    return Op(fill, function, **op)


def _has_nothing(case):
    """A slice of only -inf: torch's gradient is NaN, and Ebb's is 0, which CTC needs."""
    return (torch.logsumexp(case.inputs["input"], case.options["dim"]) == -INF).any()


def _with_integers(op):
    """sum of integers and booleans gives i64, without a gradient."""

    def fill(suite):
        op.fill(suite)
        for dtype, high in [(torch.int64, 1000), (torch.uint8, 256), (torch.bool, 2)]:
            for options in [{}, {"dim": 0}, {"dim": [0, 1], "keepdim": True}]:
                suite.add(Case({"input": suite.draw.integers((4, 5), 0, high, dtype)}, options))

    return Op(fill, op.torch)


def _mean(op):
    """mean of integers is an error."""

    def fill(suite):
        op.fill(suite)
        suite.error({"input": suite.draw.integers((3,), 0, 9)})

    return Op(fill, op.torch)


OPS = {
    "sum": _with_integers(reduction(torch.sum, whole=True, empty=True)),
    "mean": _mean(reduction(torch.mean, whole=True, empty=True)),
    "logsumexp": reduction(torch.logsumexp, whole=False, empty=True, saturates="small", unfit=_has_nothing),
    "amax": reduction(torch.amax, whole=True, empty=False),
}
