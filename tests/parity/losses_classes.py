"""Cross-entropy and NLL: class indices, class probabilities, weights, ignored positions, any number of axes."""

import torch
import torch.nn.functional as F

from losses_pointwise import REDUCTIONS, given, weights
from suite import LARGE, Case, Op
from values import DTYPES, F32, F64, NAN

SHAPES = [
    (4,),
    (4, 3),
    (1, 5),
    (3, 1),
    (6, 2),
    (5, 17),
    (2, 3, 4),
    (2, 3, 2, 2),
    (1, 4, 3),
    (2, 2, 2, 1, 2),
    (0, 3),
    (2, 3, 0),
]
REGIMES = ["normal", "wide", "tiny", "extreme", "kink", "shifted", "masked", "special", "ignored NaN"]
IGNORE = ["absent", "absent but met", "-1", "255", "a class"]


def class_axis(shape):
    return 0 if len(shape) == 1 else 1


def target_shape(shape):
    axis = class_axis(shape)
    return shape[:axis] + shape[axis + 1 :]


def scores(draw, regime, shape, dtype):
    """Draws logits; `masked` has -inf entries, `shifted` a common offset."""
    if regime == "shifted":
        return draw.normal(shape, dtype, shift=draw.rng.choice([500.0, -500.0]))
    if regime == "masked":
        x = draw.normal(shape, dtype)
        return torch.where(draw.uniform(shape) < 0.2, torch.full_like(x, -float("inf")), x)
    return draw.regime("normal" if regime == "ignored NaN" else regime, shape, dtype)


def indices(draw, shape, kind, dtype):
    """Draws class indices with ignored positions of a `kind` in IGNORE. Returns (target, ignore_index or None)."""
    classes = shape[class_axis(shape)]
    target = draw.integers(target_shape(shape), 0, classes)
    if kind == "absent":
        return target.to(dtype), None
    ignored = {"absent but met": -100, "-1": -1, "255": 255, "a class": draw.rng.randrange(classes)}
    index = ignored.get(kind, 255 if dtype == torch.uint8 else -100)
    hit = torch.ones_like(target) if kind == "everything" else draw.uniform(target.shape) < 0.35
    if kind != "a class":
        target = torch.where(hit.bool(), torch.full_like(target, index), target)
    return target.to(dtype), None if index == -100 else index


def _poison(draw, x, target, ignore_index):
    """Puts NaN and infinities into the rows that are ignored."""
    ignored = (target.long() == (-100 if ignore_index is None else ignore_index)).unsqueeze(class_axis(x.shape))
    return torch.where(ignored.expand_as(x), draw.pick(x.shape, [NAN, float("inf"), -float("inf")], x.dtype), x)


def _without_ignored(x, target, ignore_index):
    """A.5: ignored rows contribute nothing, whatever they contain."""
    ignored = (target.long() == ignore_index).unsqueeze(class_axis(x.shape))
    return torch.where(ignored, torch.zeros_like(x), x)


def cross_entropy_reference(input, target, weight=None, ignore_index=-100, **options):
    """torch's loss with A.2 (u8 indices, integer one-hot targets) and A.5 (ignored rows)."""
    if target.shape == input.shape:
        return F.cross_entropy(input, target.to(input.dtype), weight, ignore_index=ignore_index, **options)
    clean = _without_ignored(input, target, ignore_index)
    return F.cross_entropy(clean, target.long(), weight, ignore_index=ignore_index, **options)


def nll_reference(input, target, weight=None, ignore_index=-100, **options):
    clean = _without_ignored(input, target, ignore_index)
    return F.nll_loss(clean, target.long(), weight, ignore_index=ignore_index, **options)


def _index_case(smoothing):
    """Returns make(draw, row) for targets that are class indices."""

    def make(draw, row):
        shape, dtype = row["shape"], row["dtype"]
        x = scores(draw, row["regime"], shape, dtype)
        target, ignore_index = indices(draw, shape, row["ignore"], row["target"])
        if row["regime"] == "ignored NaN":
            x = _poison(draw, x, target, ignore_index)
        extra = {"weight": weights(draw, shape[class_axis(shape) :][:1], dtype, row["weight"])} if row["weight"] else {}
        options = given(reduction=row["reduction"], ignore_index=ignore_index)
        if smoothing:
            options |= given(label_smoothing=row["label_smoothing"])
            if row["regime"] in ("special", "masked") and draw.rng.random() < 0.5:
                options.pop("label_smoothing", None)  # with smoothing every -inf gives an infinite loss
        refused = row["target"] == torch.uint8 and len(shape) > 2
        deviation = "A.2" if refused else "A.5"  # marked only if torch differs
        second = row["regime"] not in ("special", "masked")
        return Case({"input": x, "target": target}, options, extra, ("input",), second, deviation=deviation)

    return make


def _smoothing_valid(row):
    """With one class the gradients are 0, and smoothing that is not exact in f32 would add rounding errors."""
    return row["shape"][class_axis(row["shape"])] > 1 or row.get("label_smoothing") in (None, 0.0)


def _index_valid(row):
    """u8 cannot represent -100 or -1, and NaN in ignored rows needs ignored rows."""
    if row["target"] == torch.uint8 and row["ignore"] in ("absent but met", "-1"):
        return False
    return _smoothing_valid(row) and (row["regime"] != "ignored NaN" or row["ignore"] != "absent")


def _index_factors(**more):
    return {
        "dtype": DTYPES,
        "shape": SHAPES,
        "regime": REGIMES,
        "reduction": REDUCTIONS,
        "target": [torch.int64, torch.uint8],
        "ignore": IGNORE,
        "weight": [None, "positive", "zeros"],
        **more,
    }


def _cover_indices(suite, smoothing, count, **more):
    """Adds the covering array, then cases whose result is 0 or NaN: everything ignored, zero weights."""
    make, factors = _index_case(smoothing), _index_factors(**more)
    suite.cover(factors, count, make, _index_valid)
    nothing = {"regime": ["normal", "ignored NaN"], "ignore": ["everything", "a class"], "weight": [None, "all zero"]}
    suite.cover({**factors, "shape": SHAPES[:8:2], **nothing}, 24, make)


def _probability_case(draw, row):
    """Draws probabilities: soft rows, any numbers, one-hot rows as floating, i64 or bool."""
    shape, dtype, kind = row["shape"], row["dtype"], row["target"]
    axis = class_axis(shape)
    x = scores(draw, row["regime"], shape, dtype)
    if kind == "soft":
        target = draw.normal(shape, dtype).softmax(axis)
    elif kind == "any":
        target = draw.normal(shape, dtype)
    else:
        picked = draw.integers(target_shape(shape), 0, shape[axis])
        one_hot = F.one_hot(picked, shape[axis]).movedim(-1, axis).contiguous()
        target = one_hot.to({"i64": torch.int64, "bool": torch.bool}.get(kind, dtype))
    extra = {"weight": weights(draw, (shape[axis],), dtype, row["weight"])} if row["weight"] else {}
    options = given(reduction=row["reduction"], label_smoothing=row["label_smoothing"], ignore_index=row["ignore"])
    names = ["input", *(["target"] if target.is_floating_point() else []), *extra]
    grad_of = {"all": names, "some": draw.subset(names), "input": ["input"]}[row["grad"]]
    deviation = None if target.is_floating_point() else "A.2"
    second = row["regime"] not in ("special", "masked")
    return Case({"input": x, "target": target}, options, extra, tuple(grad_of), second, deviation=deviation)


PROBABILITY_FACTORS = {
    "dtype": DTYPES,
    "shape": SHAPES,
    "regime": REGIMES[:-1],
    "reduction": REDUCTIONS,
    "target": ["soft", "any", "one-hot", "i64", "bool"],
    "label_smoothing": [None, 0.0, 0.125, 0.1, 1.0],
    "ignore": [None, -100],
    "weight": [None, "positive", "zeros"],
    "grad": ["all", "some", "input"],
}

def _add_vectors(suite, scores):
    """Adds fixed examples with known results."""
    x = torch.tensor([[1, 2, 3], [0, -1, 1], [2, 2, 2], [0.5, 0, 1.5]], dtype=F64)
    target, weight = torch.tensor([2, 0, 1, -100]), torch.tensor([0.5, 2.0, 1.0], dtype=F64)
    smoothing = [{}] if scores == "log-probabilities" else [{}, {"label_smoothing": 0.1}]
    for options in smoothing:
        for reduction in ("none", "sum", "mean"):
            inputs = {"input": x.log_softmax(1) if scores == "log-probabilities" else x.clone(), "target": target}
            case = Case(inputs, {"reduction": reduction, **options}, {"weight": weight}, ("input",), note="vector of B")
            suite.add(case)


# (input shape, target shape) of class indices that must be refused.
BAD_SHAPES = [
    ((4, 3), (2,)),
    ((4, 3), (4, 1)),
    ((3,), (2,)),
    ((4, 3), ()),
    ((2, 3, 4), (2, 5)),
    ((2, 3, 4), (2,)),
    ((2, 3, 4, 4), (2, 5, 4)),
    ((2, 3, 4), (3, 4)),
    ((), ()),
]


def _index_errors(suite):
    draw = suite.draw
    for shape, target in BAD_SHAPES:
        suite.error({"input": draw.normal(shape, F32), "target": torch.zeros(target, dtype=torch.int64)})
    x, t = draw.normal((4, 3), F32), torch.tensor([0, 2, 1, 0])
    for bad in [3, -1, -101, 1000]:
        suite.error({"input": x, "target": torch.tensor([0, bad, 1, 0])})
        suite.error({"input": x, "target": torch.tensor([0, bad, 1, 0])}, {"reduction": "none", "ignore_index": 5})
    suite.error({"input": x, "target": torch.tensor([0, 3, 1, 0], dtype=torch.uint8)})
    suite.error({"input": draw.normal((2, 3, 2), F64), "target": torch.tensor([[0, 1], [3, 0]])})
    suite.error({"input": draw.normal((3,), F64), "target": torch.tensor(3)})
    suite.error({"input": x, "target": t.to(F32)})
    suite.error({"input": x, "target": t.bool()})
    suite.error({"input": draw.integers((4, 3), 0, 9), "target": t})
    suite.error({"input": x, "target": t}, {"reduction": "batchmean"})
    for shape, dtype in [((2,), F32), ((4,), F32), ((3, 1), F32), ((), F32), ((3,), F64)]:
        suite.error({"input": x, "target": t}, {}, {"weight": draw.uniform(shape, dtype)})


def _fill_cross_entropy(suite):
    smoothing = {"label_smoothing": [None, 0.0, 0.125, 0.1, 1.0]}
    _cover_indices(suite, True, 230, **smoothing)
    suite.cover(PROBABILITY_FACTORS, 150, _probability_case, _smoothing_valid)
    _add_vectors(suite, "logits")
    _index_errors(suite)
    draw = suite.draw
    x, t = draw.normal((4, 3), F32), torch.tensor([0, 2, 1, 0])
    for bad in [1.5, -0.1]:
        suite.error({"input": x, "target": t}, {"label_smoothing": bad})
        suite.error({"input": x, "target": x.softmax(1)}, {"label_smoothing": bad})
    suite.error({"input": x, "target": x.softmax(1)}, {"ignore_index": 1})
    suite.error({"input": x, "target": x.softmax(1).double()})
    suite.error({"input": x, "target": x.softmax(1)}, {}, {"weight": draw.uniform((4,), F32)})
    suite.error({"input": x, "target": x.softmax(1)}, {}, {"weight": draw.uniform((3,), F64)})
    suite.error({"input": x, "target": x.softmax(1)[:3]})


def _fill_nll(suite):
    _cover_indices(suite, False, 310)
    _add_vectors(suite, "log-probabilities")
    _index_errors(suite)
    suite.error({"input": suite.draw.normal((4, 3), F32), "target": suite.draw.uniform((4, 3), F32)})
    suite.error({"input": suite.draw.normal((4, 3), F32), "target": torch.zeros((4, 3), dtype=torch.int64)})


def _smooths_to_nothing(case, exact):
    """With smoothing, a saturated gradient is a difference of equal numbers, and only their order decides if it is 0."""
    x, target = case.inputs["input"], case.inputs["target"]
    if not case.options.get("label_smoothing") or any((g != 0).any() for g in exact.grads.values()):
        return False
    indices = target.shape != x.shape
    kept = _without_ignored(x, target, case.options.get("ignore_index", -100)) if indices else x
    return (kept.abs() > LARGE).any()


OPS = {
    "cross_entropy": Op(
        _fill_cross_entropy, F.cross_entropy, cross_entropy_reference, saturates="small", noisy=_smooths_to_nothing
    ),
    "nll_loss": Op(_fill_nll, F.nll_loss, nll_reference),
}
