"""Common pointwise losses: L1, MSE, binary cross-entropy (also of logits)."""

import torch
import torch.nn.functional as F

from suite import Case, Op
from values import DTYPES, F32, F64

SHAPES = [(), (1,), (5,), (3, 4), (2, 3, 2), (1, 1), (2, 1, 2, 3), (19,), (0,), (0, 3)]
REDUCTIONS = [None, "mean", "sum", "none"]
REGIMES = ["normal", "wide", "tiny", "extreme", "kink", "special"]


def reduce(loss, reduction):
    """Returns the mean or sum of an unreduced loss, or the loss itself."""
    return {"mean": torch.mean, "sum": torch.sum, "none": lambda x: x}[reduction](loss)


def given(**options):
    """Returns the options that are not None. The defaults apply to the others."""
    return {name: value for name, value in options.items() if value is not None}


def weights(draw, shape, dtype, kind="positive"):
    """Draws a weight; `zeros` contains some zeros, `all zero` only zeros."""
    w = draw.uniform(shape, dtype, 0.25, 2.0)
    if kind == "zeros":
        return w * (draw.uniform(shape, dtype) < 0.6)
    return torch.zeros_like(w) if kind == "all zero" else w


def weight_shape(kind, shape):
    """Returns the shape of a weight that broadcasts to `shape` without enlarging it, or None."""
    if kind == "same" or not shape:
        return shape if kind else None
    first = (shape[0],) + (1,) * (len(shape) - 1)
    return {None: None, "last": shape[-1:], "first": first, "one": (1,), "scalar": ()}[kind]


def shape_errors(suite, names, batchmean=True, integers=(0, 2)):
    """Adds errors: broadcasting, different floating dtypes, integer scores, `batchmean` of a loss other than kl_div, and
    integer targets from `integers`, which the loss must refuse."""
    draw = suite.draw

    def make(*tensors):
        return dict(zip(names, tensors))

    for a, b in [((3, 1), (3,)), ((3,), (3, 1)), ((2, 3), (3,)), ((4,), (3,)), ((), (3,)), ((1,), ())]:
        suite.error(make(draw.uniform(a, F32), draw.uniform(b, F32)))
    if batchmean:
        suite.error(make(draw.uniform((3,), F32), draw.uniform((3,), F32)), {"reduction": "batchmean"})
    suite.error(make(draw.uniform((3,), F32), draw.uniform((3,), F64)))
    suite.error(make(draw.uniform((3,), F64), draw.uniform((3,), F32)))
    suite.error(make(draw.uniform((3,), F32), draw.integers((3,), *integers)))
    suite.error(make(draw.integers((3,), 0, 2), draw.uniform((3,), F32)))


def weight_errors(suite, name="weight", enlarging=True):
    """Adds errors: a weight that does not fit, has another dtype, or would enlarge the result."""
    draw = suite.draw
    bad = [((2, 3), (2,)), ((4,), (3,))] + ([((2,), (2, 2)), ((), (3,))] if enlarging else [])
    for shape, weight in bad:
        inputs = {n: draw.uniform(shape, F32) for n in ("input", "target")}
        suite.error(inputs, {}, {name: draw.uniform(weight, F32)})
    inputs = {n: draw.uniform((3,), F32) for n in ("input", "target")}
    suite.error(inputs, {}, {name: draw.uniform((3,), F64)})


def scores(draw, row, shape, dtype):
    """Draws two tensors of scores. Kinks: exact ties, and differences on the grid of the options."""
    if row["regime"] == "kink":
        return draw.grid(shape, dtype), draw.grid(shape, dtype)
    x, y = (draw.regime(row["regime"], shape, dtype) for _ in range(2))
    if row["regime"] == "extreme" and draw.rng.random() < 0.5:
        y = draw.normal(shape, dtype)
    return x, y


def loss_case(draw, row, inputs, options=(), extra=None, differentiable=None, **more):
    """Returns the case of a row, with its reduction, `options`, and the gradients that row["grad"] selects."""
    names = list(differentiable or [*inputs, *(extra or {})])
    grad_of = {"all": names, "some": draw.subset(names), "input": names[:1]}[row["grad"]]
    chosen = given(reduction=row["reduction"], **{name: row[name] for name in options})
    more.setdefault("second", row.get("regime") != "special")
    return Case(inputs, chosen, extra or {}, tuple(grad_of), **more)


def _is_its_own_mean(case):
    """A weighted mean with one weight above 0 does not depend on that weight."""
    weight = case.tensor_options.get("weight")
    mean = case.options.get("reduction", "mean") == "mean"
    return mean and weight is not None and "weight" in case.grad_of and (weight != 0).sum() <= 1


def regression(function, options=None, errors=lambda suite: None, valid=lambda row: True, **op):
    """Adds losses like L1 and MSE: equal shapes of input and target, an element-wise weight, scalar options."""
    factors = {
        "dtype": DTYPES,
        "shape": SHAPES,
        "regime": REGIMES,
        "reduction": REDUCTIONS,
        "weight": [None, "positive", "zeros"],
        "grad": ["all", "some", "input"],
        **(options or {}),
    }

    def make(draw, row):
        x, y = scores(draw, row, row["shape"], row["dtype"])
        extra = {"weight": weights(draw, row["shape"], row["dtype"], row["weight"])} if row["weight"] else {}
        return loss_case(draw, row, {"input": x, "target": y}, options or (), extra)

    def fill(suite):
        suite.cover(factors, 285, make, valid)
        shape_errors(suite, ("input", "target"))
        weight_errors(suite, enlarging=False)
        errors(suite)

    return Op(fill, function, **op)


def bce_reference(input, target, weight=None, reduction="mean"):
    """torch's unweighted loss (values and gradients), weighted and reduced here: A.8."""
    loss = F.binary_cross_entropy(input, target, reduction="none")
    return reduce(loss if weight is None else weight * loss, reduction)


PROBABILITIES = {
    "inside": None,
    "saturated": [0.0, 1.0, 0.5, 0.25],
    "near": [1e-8, 1e-4, 1e-30, 1 - 2.0**-20, 1 - 2.0**-10, 0.25],
    "beyond the clamp": [1e-50, 1e-44, 1e-300, 1e-3, 1 - 2.0**-23],
}
TARGETS = {"hard": [0.0, 1.0], "soft": None, "mixed": [0.0, 1.0, 0.25, 0.5]}


def _unit(draw, shape, dtype, choices):
    return draw.uniform(shape, dtype, 0.02, 0.98) if choices is None else draw.pick(shape, choices, dtype)


def _fill_bce(suite):
    factors = {
        "dtype": DTYPES,
        "shape": SHAPES,
        "regime": list(PROBABILITIES),
        "target": list(TARGETS),
        "reduction": REDUCTIONS,
        "weight": [None, "same", "last", "first", "one", "scalar"],
        "grad": ["all", "some", "input"],
    }

    def make(draw, row):
        shape, dtype = row["shape"], row["dtype"]
        inputs = {
            "input": _unit(draw, shape, dtype, PROBABILITIES[row["regime"]]),
            "target": _unit(draw, shape, dtype, TARGETS[row["target"]]),
        }
        of_weight = weight_shape(row["weight"], shape)
        extra = {} if of_weight is None else {"weight": weights(draw, of_weight, dtype)}
        return loss_case(draw, row, inputs, extra=extra, deviation="A.8")

    suite.cover(factors, 270, make)
    for dtype in DTYPES:  # a worked example with known results
        x = torch.tensor([[0.3992, 0.2232, 0.6435], [0.3800, 0.3044, 0.3241]], dtype=dtype)
        y = torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]], dtype=dtype)
        suite.add(Case({"input": x, "target": y}, grad_of=("input", "target"), note="the worked example"))
    shape_errors(suite, ("input", "target"))
    weight_errors(suite)
    nan = float("nan")
    for x, y in [(-0.25, 0.5), (1.5, 0.5), (nan, 0.5), (0.5, -0.25), (0.5, 1.5), (0.5, nan)]:
        for dtype in DTYPES:
            suite.error({n: torch.tensor([0.5, v, 0.25], dtype=dtype) for n, v in [("input", x), ("target", y)]})


def bce_with_logits_literal(input, target, weight=None, pos_weight=None, reduction="mean"):
    """torch's formula, whose value cancels for x << 0. An infinity times zero is computed as in torch."""
    if not torch.isfinite(input).all():
        return F.binary_cross_entropy_with_logits(input, target, weight, pos_weight=pos_weight, reduction=reduction)
    factor = 1 if pos_weight is None else 1 + (pos_weight - 1) * target
    loss = (1 - target) * input - factor * F.logsigmoid(input)
    return reduce(loss if weight is None else weight * loss, reduction)


def bce_with_logits_reference(input, target, weight=None, pos_weight=None, reduction="mean"):
    """The accurate formula, differentiable by all inputs: A.8."""
    if not torch.isfinite(input).all():
        return bce_with_logits_literal(input, target, weight, pos_weight, reduction)
    # A choice at 0, so that nothing cancels in the value or in the gradients of input and target.
    positive = target if pos_weight is None else pos_weight * target
    linear = torch.where(input >= 0, (1 - target) * input, -positive * input)
    rest = torch.log1p(torch.exp(torch.where(input >= 0, -input, input)))
    loss = linear + (1 - target + positive) * rest
    return reduce(loss if weight is None else weight * loss, reduction)


LOGIT_TARGETS = {"hard": [0.0, 1.0], "soft": None, "outside": [-1.0, 2.0, 5.0, 0.5]}


def _fill_bce_with_logits(suite):
    kinds = [None, "same", "last", "first", "one", "scalar"]
    factors = {
        "dtype": DTYPES,
        "shape": SHAPES,
        "regime": REGIMES,
        "target": list(LOGIT_TARGETS),
        "reduction": REDUCTIONS,
        "weight": kinds,
        "pos_weight": kinds,
        "grad": ["all", "some", "input"],
    }

    def make(draw, row):
        shape, dtype = row["shape"], row["dtype"]
        inputs = {
            "input": draw.regime(row["regime"], shape, dtype),
            "target": _unit(draw, shape, dtype, LOGIT_TARGETS[row["target"]]),
        }
        shapes = {name: weight_shape(row[name], shape) for name in ("weight", "pos_weight")}
        extra = {name: weights(draw, of, dtype) for name, of in shapes.items() if of is not None}
        names = list(inputs) if row["regime"] == "special" else None
        return loss_case(draw, row, inputs, extra=extra, differentiable=names, deviation="A.8")

    suite.cover(factors, 270, make)
    shape_errors(suite, ("input", "target"))
    weight_errors(suite)
    weight_errors(suite, "pos_weight")


OPS = {
    "l1_loss": regression(F.l1_loss, unfit=_is_its_own_mean),
    "mse_loss": regression(F.mse_loss, unfit=_is_its_own_mean),
    "binary_cross_entropy": Op(_fill_bce, F.binary_cross_entropy, bce_reference),
    "binary_cross_entropy_with_logits": Op(
        _fill_bce_with_logits,
        F.binary_cross_entropy_with_logits,
        bce_with_logits_reference,
        saturates="to zero",
        literal=bce_with_logits_literal,
    ),
}
