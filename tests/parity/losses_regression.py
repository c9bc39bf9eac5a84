"""SmoothL1, Huber, KL divergence, Poisson and Gaussian likelihoods, and soft margin in its stable form."""

import torch
import torch.nn.functional as F

from losses_pointwise import REDUCTIONS, REGIMES, SHAPES, loss_case, reduce, regression, shape_errors
from suite import Op
from values import DTYPES, F32, F64, INF

GRADS = ["all", "some", "input"]


def smooth_l1_reference(input, target, weight=None, reduction="mean", beta=1.0):
    """torch's loss with the weight of A.3. The denominator of the mean is the number of elements."""
    loss = F.smooth_l1_loss(input, target, reduction="none", beta=beta)
    return reduce(loss if weight is None else weight * loss, reduction)


def _bad_option(name, *values):
    def errors(suite):
        for value in values:
            inputs = {n: suite.draw.normal((3,), F32) for n in ("input", "target")}
            suite.error(inputs, {name: value})

    return errors


class XLogX(torch.autograd.Function):
    """Returns y log y, which is 0 at 0 with the derivative -inf (A.6)."""

    @staticmethod
    def forward(ctx, y):
        ctx.save_for_backward(y)
        return torch.special.xlogy(y, y)

    @staticmethod
    def backward(ctx, upstream):
        (y,) = ctx.saved_tensors
        return upstream * (torch.log(y) + 1)


def kl_div_reference(input, target, reduction="mean", log_target=False):
    """The formula with A.6: a target of 0, or a log target of -inf, contributes nothing; d/dy = -inf at y = 0, 0 if x = -inf."""
    if log_target:
        nothing = target == -INF
        y, x = (torch.where(nothing, torch.zeros_like(t), t) for t in (target, input))
        loss = torch.where(nothing, torch.zeros_like(y), y.exp() * (y - x))
    else:
        nothing = (target == 0) & (input == -INF)
        y = torch.where(nothing, torch.zeros_like(target), target)
        x = torch.where(target == 0, torch.zeros_like(input), input)
        loss = torch.where(nothing, torch.zeros_like(y), XLogX.apply(y) - y * x)
    if reduction == "batchmean":
        return loss.sum() / (input.shape[0] if input.dim() else 1)
    return reduce(loss, reduction)


def _kl_target(draw, kind, shape, dtype, log_target):
    """Draws probabilities (soft, with zeros, any positive number, any sign) or logarithms (soft, -inf, any)."""
    if log_target:
        if kind == "zeros":
            return draw.pick(shape, [-INF, -1.0, -0.25, 0.0, -30.0], dtype)
        return draw.uniform(shape, dtype, -5.0, 0.0) if kind == "soft" else draw.normal(shape, dtype, 2.0)
    if kind == "zeros":
        return draw.pick(shape, [0.0, 1.0, 0.25, 0.5], dtype)
    if kind == "soft":
        return draw.uniform(shape, dtype, 0.01, 1.0)
    return draw.normal(shape, dtype, 3.0) if kind == "any sign" else draw.normal(shape, dtype, 3.0).abs()


def _fill_kl_div(suite):
    factors = {
        "dtype": DTYPES,
        "shape": SHAPES,
        "regime": REGIMES,
        "target": ["soft", "zeros", "positive", "any sign"],
        "reduction": [*REDUCTIONS, "batchmean"],
        "log_target": [None, True, False],
        "grad": GRADS,
    }

    def make(draw, row):
        shape, dtype = row["shape"], row["dtype"]
        x = draw.regime(row["regime"], shape, dtype)
        inputs = {"input": x, "target": _kl_target(draw, row["target"], shape, dtype, row["log_target"])}
        departs = (inputs["target"] == (-INF if row["log_target"] else 0)).any()
        return loss_case(draw, row, inputs, ["log_target"], deviation="A.6" if departs else None)

    def valid(row):
        """Excludes NaN scores with a log target of -inf, for which A.5 and A.6 contradict each other."""
        return not (row["log_target"] and row["target"] == "zeros" and row["regime"] == "special")

    suite.cover(factors, 270, make, valid)
    shape_errors(suite, ("input", "target"), batchmean=False)


def _fill_poisson(suite):
    factors = {
        "dtype": DTYPES,
        "shape": SHAPES,
        "regime": REGIMES,
        "target": ["counts", "positive", "around 1", "any sign"],
        "reduction": REDUCTIONS,
        "log_input": [None, True, False],
        "full": [None, True, False],
        "eps": [None, 1e-8, 1e-3, 0.25],
        "grad": GRADS,
    }

    def make(draw, row):
        shape, dtype = row["shape"], row["dtype"]
        x = draw.regime(row["regime"], shape, dtype)
        if row["log_input"] is False and row["regime"] not in ("kink", "special"):
            x = x.abs()
        target = {
            "counts": lambda: draw.pick(shape, [0.0, 1.0, 2.0, 3.0, 7.0, 100.0], dtype),
            "positive": lambda: draw.normal(shape, dtype, 4.0).abs(),
            "around 1": lambda: draw.pick(shape, [1.0, 0.75, 1.25, 0.5], dtype),
            "any sign": lambda: draw.normal(shape, dtype, 2.0),
        }[row["target"]]()
        return loss_case(draw, row, {"input": x, "target": target}, ["log_input", "full", "eps"])

    suite.cover(factors, 270, make)
    shape_errors(suite, ("input", "target"))


def _var_shape(kind, shape):
    """Returns the shapes of var that PyTorch 2.6 supports."""
    return {"same": shape, "rows": shape[:-1], "last is 1": (*shape[:-1], 1)}[kind] if shape else shape


def _fill_gaussian(suite):
    shapes = [s for s in SHAPES if s != (0, 3)]
    factors = {
        "dtype": DTYPES,
        "shape": shapes,
        "regime": [r for r in REGIMES if r != "extreme"],
        "var": ["normal", "kink", "zeros"],
        "var_shape": ["same", "rows", "last is 1"],
        "reduction": REDUCTIONS,
        "full": [None, True, False],
        "eps": [None, 1e-6, 0.25, 0.5],
        "grad": GRADS,
    }

    def make(draw, row):
        shape, dtype = row["shape"], row["dtype"]
        of_var = _var_shape(row["var_shape"], shape)
        var = {
            "normal": lambda: draw.uniform(of_var, dtype, 0.1, 3.0),
            "kink": lambda: draw.pick(of_var, [0.25, 0.5, 0.125, 0.375, 1.0], dtype),
            "zeros": lambda: draw.pick(of_var, [0.0, 1.0, 0.25, 1e-3], dtype),
        }[row["var"]]()
        inputs = {n: draw.regime(row["regime"], shape, dtype) for n in ("input", "target")}
        return loss_case(draw, row, {**inputs, "var": var}, ["full", "eps"])

    suite.cover(factors, 270, make, lambda row: row["shape"] not in [(), (0,)] or row["var_shape"] == "same")
    draw = suite.draw

    def error(x, y, var, dtypes=(F32, F32, F32), options=None):
        tensors = [draw.uniform(s, d) if isinstance(s, tuple) else s for s, d in zip((x, y, var), dtypes)]
        suite.error(dict(zip(("input", "target", "var"), tensors)), options)

    error((2, 3), (3,), (2, 3))
    error((3, 1), (3, 3), (3, 1))
    error((2, 3), (2, 3), (3,))
    error((2, 3), (2, 3), (2, 4))
    error((2, 3), (2, 3), (3, 2))
    error((3,), (3,), torch.tensor([1.0, -0.5, 1.0]))
    error((3,), (3,), (3,), (F32, F64, F32))
    error((3,), (3,), (3,), (F32, F32, F64))
    error((3,), (3,), (3,), options={"reduction": "batchmean"})


def soft_margin_reference(input, target, reduction="mean"):
    """A.6: softplus(-y x) does not overflow."""
    return reduce(-F.logsigmoid(target * input), reduction)


def _fill_soft_margin(suite):
    factors = {
        "dtype": DTYPES,
        "shape": SHAPES,
        "regime": REGIMES,
        "target": ["sign", "any"],
        "reduction": REDUCTIONS,
    }

    def make(draw, row):
        shape, dtype = row["shape"], row["dtype"]
        y = draw.pick(shape, [1.0, -1.0], dtype) if row["target"] == "sign" else draw.grid(shape, dtype)
        inputs = {"input": draw.regime(row["regime"], shape, dtype), "target": y}
        overflow = not (y * inputs["input"] > -700).all()
        return loss_case(draw, {**row, "grad": "input"}, inputs, deviation="A.6" if overflow else None)

    suite.cover(factors, 280, make)
    shape_errors(suite, ("input", "target"), integers=(0, 1))  # 1 and -1 may be integers


OPS = {
    "smooth_l1_loss": regression(
        F.smooth_l1_loss,
        {"beta": [None, 1.0, 0.5, 0.0, 2.0]},
        _bad_option("beta", -1.0, -0.5),
        reference=smooth_l1_reference,
        deviation="A.3",
    ),
    "huber_loss": regression(
        F.huber_loss,
        {"delta": [None, 1.0, 0.5, 2.0, INF]},
        _bad_option("delta", 0.0, -1.0),
        lambda row: row["delta"] != INF or row["regime"] != "special",
    ),
    "kl_div": Op(_fill_kl_div, F.kl_div, kl_div_reference),
    "poisson_nll_loss": Op(_fill_poisson, F.poisson_nll_loss),
    "gaussian_nll_loss": Op(_fill_gaussian, F.gaussian_nll_loss),
    "soft_margin_loss": Op(_fill_soft_margin, F.soft_margin_loss, soft_margin_reference, saturates="to zero"),
}
