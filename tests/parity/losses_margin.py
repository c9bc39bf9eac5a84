"""Losses with a margin between numbers or vectors: hinge and cosine embedding, margin ranking, triplet."""

import torch
import torch.nn.functional as F

import clamps
from losses_pointwise import REDUCTIONS, REGIMES, SHAPES, loss_case, scores, shape_errors
from suite import Op
from values import DTYPES, F32, F64, INF

GRADS = ["all", "some", "input"]
MARGINS = [None, 0.0, 1.0, 0.5, 2.0, -0.25]


def _signs(draw, shape, dtype):
    return draw.pick(shape, [1.0, -1.0], dtype)


def _fill_hinge_embedding(suite):
    factors = {
        "dtype": DTYPES,
        "shape": SHAPES,
        "regime": REGIMES,
        "margin": MARGINS,
        "reduction": REDUCTIONS,
    }

    def make(draw, row):
        shape, dtype, margin = row["shape"], row["dtype"], row["margin"]
        x = draw.regime(row["regime"], shape, dtype, (0.0, 1.0 if margin is None else margin))
        inputs = {"input": x, "target": _signs(draw, shape, dtype)}
        return loss_case(draw, {**row, "grad": "input"}, inputs, ["margin"])

    suite.cover(factors, 310, make)
    shape_errors(suite, ("input", "target"))
    for bad in [0.0, 0.5, -2.0, float("nan")]:
        y = torch.tensor([1.0, bad, -1.0])
        suite.error({"input": suite.draw.normal((3,), F32), "target": y})


def _fill_margin_ranking(suite):
    factors = {
        "dtype": DTYPES,
        "shape": SHAPES,
        "regime": REGIMES,
        "target": ["signs", "any"],
        "margin": MARGINS,
        "reduction": REDUCTIONS,
        "grad": GRADS,
    }

    def make(draw, row):
        shape, dtype = row["shape"], row["dtype"]
        x1, x2 = scores(draw, row, shape, dtype)
        y = _signs(draw, shape, dtype) if row["target"] == "signs" else draw.grid(shape, dtype)
        return loss_case(draw, row, {"input1": x1, "input2": x2, "target": y}, ["margin"])

    suite.cover(factors, 350, make)
    draw = suite.draw
    for a, b, y in [((3,), (3, 1), (3,)), ((3,), (3,), ()), ((2, 3), (2, 3), (3,)), ((3,), (4,), (3,))]:
        suite.error({"input1": draw.normal(a, F32), "input2": draw.normal(b, F32), "target": _signs(draw, y, F32)})
    for a, b, y in [(F32, F64, F32), (F32, F32, F64)]:
        suite.error({"input1": draw.normal((3,), a), "input2": draw.normal((3,), b), "target": _signs(draw, (3,), y)})
    inputs = {n: draw.normal((3,), F32) for n in ("input1", "input2", "target")}
    suite.error(inputs, {"reduction": "batchmean"})


def _vectors(draw, regime, shape, dtype):
    """Draws pairs of rows. `kink`: orthogonal (cosine 0); `parallel`: the first pair is; `zero`: some vectors are zero."""
    a, b = draw.normal(shape, dtype), draw.normal(shape, dtype)
    if regime == "kink":
        corner = torch.arange(shape[-1]) % 2 == 0
        a, b = draw.grid(shape, dtype) * corner, draw.grid(shape, dtype) * ~corner
    elif regime == "parallel" and len(shape) > 1:
        b[:1] = a[:1] * draw.rng.choice([1.0, -1.0, 0.5])
    elif regime == "zero":
        a = a * (draw.uniform(shape[:-1] + (1,)) < 0.5)
    elif regime == "scaled":
        a, b = a * 100.0, b * 1e-2
    elif regime == "special":
        a = draw.pick(shape, [float("nan"), 1.0, -0.5, 2.0, 0.25, 0.0], dtype)
    return a, b


def _fill_cosine_embedding(suite):
    factors = {
        "dtype": DTYPES,
        "shape": [(3,), (4, 3), (1, 5), (5, 4), (6, 2), (3, 17), (0, 3)],
        "regime": ["normal", "kink", "parallel", "zero", "scaled", "special"],
        "margin": [None, 0.0, 0.5, -0.5],
        "reduction": REDUCTIONS,
        "grad": GRADS,
    }

    def make(draw, row):
        shape, dtype = row["shape"], row["dtype"]
        a, b = _vectors(draw, row["regime"], shape, dtype)
        inputs = {"input1": a, "input2": b, "target": _signs(draw, shape[:-1], dtype)}
        return loss_case(draw, row, inputs, ["margin"], differentiable=["input1", "input2"])

    suite.cover(factors, 300, make)
    draw = suite.draw

    def error(a, b, y, dtypes=(F32, F32, F32), options=None):
        inputs = {"input1": draw.normal(a, dtypes[0]), "input2": draw.normal(b, dtypes[1])}
        suite.error({**inputs, "target": _signs(draw, y, dtypes[2]) if isinstance(y, tuple) else y}, options)

    error((2, 3), (2, 3), (2, 1))
    error((2, 3), (2, 3), ())
    error((2, 3), (2, 3), (3,))
    error((3,), (3,), (3,))
    error((2, 3), (2, 4), (2,))
    error((2, 3), (3,), (2,))
    error((2, 3), (2, 3), (2,), (F32, F64, F32))
    error((2, 3), (2, 3), (2,), (F32, F32, F64))
    error((2, 3), (2, 3), (2,), options={"reduction": "batchmean"})
    for bad in [0.0, 0.5, 2.0]:
        error((2, 3), (2, 3), torch.tensor([1.0, bad]))


TRIPLET_NAMES = ("anchor", "positive", "negative")


def _triplet(draw, regime, shape, dtype):
    """Draws anchor, positive, negative. `kink`: on a coarse grid; `a = p`, `all equal`: distances that consist of eps."""
    if regime == "kink":
        return [draw.grid(shape, dtype, 2, 0.5) for _ in range(3)]
    scale = {"wide": 30.0, "tiny": 1e-2}.get(regime, 1.0)
    a, p, n = (draw.normal(shape, dtype, scale) for _ in range(3))
    if regime == "far":
        n = n + 50.0 * (draw.uniform(shape[:-1] + (1,) * min(len(shape), 1)) < 0.5)
    elif regime == "a = p":
        p = a.clone()
    elif regime == "all equal":
        p, n = a.clone(), a.clone()
    elif regime == "special":
        n = draw.pick(shape, [float("nan"), 1.0, -0.5, 2.0, 0.25, 0.0], dtype)
    return [a, p, n]


def _fill_triplet(suite):
    factors = {
        "dtype": DTYPES,
        "shape": [(3,), (1,), (4, 3), (1, 5), (3, 1), (2, 3, 2), (3, 17), (0, 3), ()],
        "regime": ["normal", "wide", "tiny", "kink", "far", "a = p", "all equal", "special"],
        "margin": [None, 1.0, 0.5, 2.0],
        "p": [None, 2.0, 1.0, 3.0, 1.5, INF],
        "eps": [None, 1e-6, 0.25, 0.0],
        "swap": [None, True, False],
        "reduction": REDUCTIONS,
        "grad": GRADS,
    }

    def make(draw, row):
        tensors = _triplet(draw, row["regime"], row["shape"], row["dtype"])
        curved = row["regime"] != "special" and row["shape"][-1:] not in [(), (1,)]  # the norm of one number is linear
        named = dict(zip(TRIPLET_NAMES, tensors))
        return loss_case(draw, row, named, ["margin", "p", "eps", "swap"], second=curved)

    suite.cover(factors, 400, make)
    draw = suite.draw

    def error(shapes, dtypes=(F32, F32, F32), options=None):
        suite.error({n: draw.normal(s, d) for n, s, d in zip(TRIPLET_NAMES, shapes, dtypes)}, options)

    same = ((2, 3),) * 3
    for options in [{"margin": 0.0}, {"margin": -1.0}, {"p": 0.5}, {"p": 0.0}, {"p": -1.0}, {"reduction": "batchmean"}]:
        error(same, options=options)
    error(((2, 3), (3,), (2, 3)))
    error(((2, 3), (2, 3), (1, 2, 3)))
    error(((2, 3), (2, 4), (2, 3)))
    error(same, (F32, F64, F32))
    error(same, (F32, F32, F64))


def _undecided(case):
    """The argument of a hinge is 0 except for rounding, so its derivative is decided by chance."""
    p, eps = (case.options.get(name, value) for name, value in (("p", 2.0), ("eps", 1e-6)))
    if eps in (0.0, 0.25) and p in (1.0, 2.0, INF):  # exact on a grid, at least if the argument is 0
        return False
    tensors = (case.inputs[name].double() for name in TRIPLET_NAMES)
    losses = F.triplet_margin_loss(*tensors, **{**case.options, "reduction": "none", "margin": 1e3})
    return ((losses - 1e3 + case.options.get("margin", 1.0)).abs() < 1e-9).any()


def _cancels(case, exact):
    """With one component, every norm is the absolute value, and two derivatives of 1 may cancel up to rounding.

    The slopes of p = 1 are signs, exact to the last bit, and tell where.
    """
    anchor = case.inputs["anchor"]
    if anchor.shape[-1:] not in [(), (1,)]:
        return False
    leaves = [case.inputs[name].detach().clone().requires_grad_() for name in TRIPLET_NAMES]
    options = {**case.options, "p": 1.0, "reduction": "sum"}
    slopes = dict(zip(TRIPLET_NAMES, torch.autograd.grad(clamps.triplet_margin_loss(*leaves, **options), leaves)))
    active = any((slope != 0).any() for slope in slopes.values())
    return active and any((slopes[name] == 0).all() for name in case.grad_of)


OPS = {
    "hinge_embedding_loss": Op(_fill_hinge_embedding, F.hinge_embedding_loss, clamped=clamps.hinge_embedding_loss),
    "margin_ranking_loss": Op(_fill_margin_ranking, F.margin_ranking_loss, clamped=clamps.margin_ranking_loss),
    "cosine_embedding_loss": Op(_fill_cosine_embedding, F.cosine_embedding_loss, clamped=clamps.cosine_embedding_loss),
    "triplet_margin_loss": Op(
        _fill_triplet, F.triplet_margin_loss, clamped=clamps.triplet_margin_loss, unfit=_undecided, noisy=_cancels
    ),
}
