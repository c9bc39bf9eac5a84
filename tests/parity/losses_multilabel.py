"""Margin losses over classes, which torch can differentiate only once, and the multi-label soft margin."""

import torch
import torch.nn.functional as F

from losses_classes import class_axis
from losses_pointwise import REDUCTIONS, loss_case, reduce, shape_errors, weights
from suite import Op
from values import DTYPES, F32, F64, NAN

SHAPES = [(4,), (4, 3), (1, 5), (3, 1), (6, 2), (3, 17), (2, 4), (5, 4)]
REGIMES = ["normal", "wide", "tiny", "extreme", "kink", "NaN"]


def multi_margin_reference(input, target, p=1, margin=1.0, weight=None, reduction="mean"):
    """The formula. NaN scores are kept (A.5), and an empty batch gives 0 or NaN (A.4)."""
    rows = input.reshape(-1, input.shape[-1])
    t = target.reshape(-1, 1).long()
    z = torch.relu(margin - rows.gather(1, t) + rows)
    others = torch.ones_like(rows).scatter(1, t, 0.0)
    loss = (others * z**p).sum(1) / rows.shape[1]
    if weight is not None:
        loss = weight[t[:, 0]] * loss
    return reduce(loss.reshape(target.shape), reduction)


def _pair_counts(labels, classes):
    """Returns how often the pair (t, i) counts: as often as label t is listed, if i is not a label."""
    labels = labels[: labels.index(-1)] if -1 in labels else labels
    counts = torch.zeros(classes, classes, dtype=torch.float64)
    for t in labels:
        counts[t] += 1
    counts[:, labels] = 0
    return counts


def multilabel_margin_reference(input, target, weight=None, reduction="mean"):
    """The formula, with A.3 (the weight of the label t), A.4 and A.5."""
    classes = input.shape[-1]
    rows, targets = input.reshape(-1, classes), target.reshape(-1, classes).tolist()
    counts = [_pair_counts(labels, classes) for labels in targets]
    pairs = torch.stack(counts).to(input.dtype) if counts else rows.new_zeros((0, classes, classes))
    z = torch.relu(1 - rows.unsqueeze(2) + rows.unsqueeze(1))
    terms = torch.where(pairs != 0, pairs * z, torch.zeros_like(z))
    if weight is not None:  # a weight of 0 must not hide a NaN
        terms = weight.unsqueeze(1) * terms
    loss = terms.sum((1, 2)) / classes + torch.where(rows.isnan(), rows, torch.zeros_like(rows)).sum(1)
    return reduce(loss.reshape(input.shape[:-1]), reduction)


def _scores(draw, regime, shape, dtype):
    if regime == "kink":
        return draw.grid(shape, dtype, 4, 0.5)
    if regime == "extreme":  # for larger values, margin - x_t + x_i may lose the margin
        return draw.signed(shape, [20.0, 88.0, 104.0, 709.0, 1e4, 1e6, 0.75], dtype)
    if regime == "NaN":
        return draw.pick(shape, [NAN, 0.5, -1.0, 2.0, 0.25], dtype)
    return draw.regime(regime, shape, dtype)


def _class_case(draw, row, target, options, mark):
    """Draws scores, a target, and sometimes a class weight. With NaN only the value is compared."""
    shape, dtype = row["shape"], row["dtype"]
    inputs = {"input": _scores(draw, row["regime"], shape, dtype), "target": target}
    extra = {"weight": weights(draw, shape[-1:], dtype, row["weight"])} if row["weight"] else {}
    case = loss_case(draw, {**row, "grad": "input"}, inputs, options, extra, **mark)
    if row["regime"] == "NaN":
        case.grad_of, case.deviation = (), "A.5"
    return case


FACTORS = {
    "dtype": DTYPES,
    "shape": SHAPES,
    "regime": REGIMES,
    "weight": [None, "positive", "zeros"],
    "reduction": REDUCTIONS,
    "target": [torch.int64, torch.int64, torch.uint8],
}


def _empty(suite, make_target, options):
    """A.4: torch returns uninitialized memory for an empty batch."""
    for row in ({"dtype": d, "reduction": r} for d in DTYPES for r in REDUCTIONS):
        full = {"shape": (0, 3), "regime": "normal", "weight": None, **dict.fromkeys(options), **row}
        mark = {"deviation": "A.4", "compare": False}
        suite.add(_class_case(suite.draw, full, make_target((0, 3)), options, mark))


def _fill_multi_margin(suite):
    options = ["p", "margin"]
    factors = {**FACTORS, "p": [None, 1, 2], "margin": [None, 1.0, 0.5, 0.0, -0.5, 2.0]}

    def make(draw, row):
        shape = row["shape"]
        of_target = shape[:-1] or draw.rng.choice([(), (1,)])
        target = draw.integers(of_target, 0, shape[-1], row["target"])
        return _class_case(draw, row, target, options, {"deviation": "A.2" if row["target"] == torch.uint8 else None})

    suite.cover(factors, 330, make)
    _empty(suite, lambda shape: torch.zeros(shape[:1], dtype=torch.int64), options)
    draw = suite.draw
    x, t = draw.normal((4, 3), F32), torch.tensor([0, 2, 1, 0])
    for bad in [[0, 3, 1, 0], [0, -1, 1, 0], [0, 1], [[0], [1], [2], [0]]]:
        suite.error({"input": x, "target": torch.tensor(bad)})
    for bad in [{"p": 3}, {"p": 0}, {"reduction": "batchmean"}]:
        suite.error({"input": x, "target": t}, bad)
    for shape, dtype in [((2,), F32), ((3, 1), F32), ((3,), F64)]:
        suite.error({"input": x, "target": t}, {}, {"weight": draw.uniform(shape, dtype)})
    suite.error({"input": x, "target": t.to(F32)})
    suite.error({"input": draw.normal((3,), F32), "target": torch.tensor([0, 1])})
    suite.error({"input": draw.normal((2, 0), F32), "target": torch.tensor([0, 0])})


def _labels(draw, row):
    """Draws rows of labels that end with -1 (other values may follow), duplicates, no labels, all labels. u8 has no -1."""
    shape = row["shape"]
    classes, rows = shape[-1], torch.Size(shape[:-1]).numel()
    found = []
    for _ in range(rows):
        if row["target"] == torch.uint8 or draw.rng.random() < 0.1:
            found.append([draw.rng.randrange(classes) for _ in range(classes)])
            continue
        count = draw.rng.randrange(max(classes, 2))
        labels = [draw.rng.randrange(classes) for _ in range(min(count, classes - 1))]
        rest = [draw.rng.randrange(-1, classes) for _ in range(classes - len(labels) - 1)]
        found.append(labels + [-1] + rest)
    return torch.tensor(found).reshape(shape).to(row["target"])


def _fill_multilabel_margin(suite):
    def make(draw, row):
        mark = "A.3" if row["weight"] else "A.2" if row["target"] == torch.uint8 else None
        return _class_case(draw, row, _labels(draw, row), [], {"deviation": mark})

    suite.cover(FACTORS, 360, make)
    _empty(suite, lambda shape: torch.zeros(shape, dtype=torch.int64), [])
    draw = suite.draw
    x = draw.normal((2, 4), F32)
    for bad in [[[0, -1, 0, 0], [4, -1, 0, 0]], [[0, -1, 0, 0], [-2, 0, 0, 0]], [[0, -1, 0, 0], [1, -1, 4, 0]]]:
        suite.error({"input": x, "target": torch.tensor(bad)})
    good = torch.tensor([[0, -1, 0, 0], [1, 2, -1, 0]])
    for bad in [good[0], good[:, :2], good[:1], good.to(F32)]:
        suite.error({"input": x, "target": bad.contiguous()})
    suite.error({"input": x[0].clone(), "target": good[:1].clone()})
    suite.error({"input": draw.normal((2, 2, 4), F32), "target": torch.zeros((2, 2, 4), dtype=torch.int64)})
    suite.error({"input": x, "target": good}, {"reduction": "batchmean"})
    for shape, dtype in [((2,), F32), ((4,), F64)]:
        suite.error({"input": x, "target": good}, {}, {"weight": draw.uniform(shape, dtype)})
    suite.error({"input": draw.normal((2, 0), F32), "target": torch.zeros((2, 0), dtype=torch.int64)})


def _fill_multilabel_soft_margin(suite):
    factors = {
        "dtype": DTYPES,
        "shape": [(3,), (1,), (4, 3), (1, 5), (3, 1), (2, 3, 2), (3, 17), (0, 3)],
        "regime": ["normal", "wide", "tiny", "extreme", "kink", "special"],
        "target": ["hard", "soft"],
        "weight": [None, "positive", "zeros"],
        "reduction": REDUCTIONS,
        "grad": ["all", "some", "input"],
    }

    def make(draw, row):
        shape, dtype = row["shape"], row["dtype"]
        y = draw.pick(shape, [0.0, 1.0], dtype) if row["target"] == "hard" else draw.uniform(shape, dtype)
        inputs = {"input": draw.regime(row["regime"], shape, dtype), "target": y}
        extra = {"weight": weights(draw, shape[-1:], dtype, row["weight"])} if row["weight"] else {}
        return loss_case(draw, row, inputs, extra=extra)

    suite.cover(factors, 280, make)
    shape_errors(suite, ("input", "target"))
    draw = suite.draw
    inputs = {n: draw.uniform((2, 3), F32) for n in ("input", "target")}
    for shape, dtype in [((2,), F32), ((4,), F32), ((3,), F64)]:
        suite.error(inputs, {}, {"weight": draw.uniform(shape, dtype)})
    suite.error({n: draw.uniform((), F32) for n in ("input", "target")})


OPS = {
    "multi_margin_loss": Op(_fill_multi_margin, F.multi_margin_loss, multi_margin_reference, torch_twice=False),
    "multilabel_margin_loss": Op(
        _fill_multilabel_margin, F.multilabel_margin_loss, multilabel_margin_reference, torch_twice=False
    ),
    "multilabel_soft_margin_loss": Op(_fill_multilabel_soft_margin, F.multilabel_soft_margin_loss, saturates="to zero"),
}
