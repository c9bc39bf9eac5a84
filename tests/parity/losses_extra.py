"""Adaptive softmax, and losses that torch does not have (A.12): the focal losses and the Dice loss."""

import math

import torch
import torch.nn.functional as F

from losses_classes import indices, target_shape
from losses_pointwise import REDUCTIONS, SHAPES, given, loss_case, reduce, shape_errors, weights
from suite import Case, Op
from values import DTYPES, F32, F64


def missing(*inputs, **options):
    raise TypeError("PyTorch has no such loss")


def _torch_adaptive(input, target, in_features, n_classes, cutoffs, div_value=4.0, head_bias=False, **parameters):
    module = torch.nn.AdaptiveLogSoftmaxWithLoss(in_features, n_classes, cutoffs, div_value, head_bias)
    return tuple(torch.func.functional_call(module.to(input.dtype), parameters, (input, target.long())))


def adaptive_reference(input, target, in_features, n_classes, cutoffs, div_value=4.0, head_bias=False, **parameters):
    """Computes the log-probabilities of every class in one table."""
    rows = input.reshape(-1, in_features)
    head = F.linear(rows, parameters["head.weight"], parameters.get("head.bias")).log_softmax(1)
    columns = [head[:, : cutoffs[0]]]
    for i in range(len(cutoffs)):
        hidden = F.linear(rows, parameters[f"tail.{i}.0.weight"])
        tail = F.linear(hidden, parameters[f"tail.{i}.1.weight"]).log_softmax(1)
        columns.append(head[:, cutoffs[0] + i].unsqueeze(1) + tail)
    table = torch.cat(columns, 1)
    output = table.gather(1, target.reshape(-1, 1).long()).reshape(target.shape)
    return output, -output.mean()


ADAPTIVE = [  # in_features, n_classes, cutoffs, div_value
    (6, 8, [3], 2.0),
    (4, 8, [2, 5], 2.0),
    (17, 7, [2, 4], None),
    (3, 7, [1, 2, 4], 1.0),
    (4, 5, [4], 1.5),
    (5, 6, [2], 1.5),
]


def _adaptive_parameters(draw, sizes, head_bias, dtype):
    """Draws head.weight, head.bias, tail.i.0.weight and tail.i.1.weight with torch's names and shapes."""
    fan_in, classes, cutoffs, div_value = sizes
    head = cutoffs[0] + len(cutoffs)
    shapes = {"head.weight": (head, fan_in), **({"head.bias": (head,)} if head_bias else {})}
    ends = [*cutoffs, classes]
    for i in range(len(cutoffs)):
        hidden = math.floor(fan_in / (div_value or 4.0) ** (i + 1))
        shapes[f"tail.{i}.0.weight"] = (hidden, fan_in)
        shapes[f"tail.{i}.1.weight"] = (ends[i + 1] - ends[i], hidden)
    return {name: draw.normal(shape, dtype, 0.5) for name, shape in shapes.items()}


def _fill_adaptive(suite):
    factors = {
        "dtype": DTYPES,
        "sizes": ADAPTIVE,
        "batch": [None, 1, 2, 5],
        "classes": ["any", "head", "last cluster"],
        "head_bias": [None, False, True],
        "regime": ["normal", "wide", "tiny"],
        "target": [torch.int64, torch.int64, torch.uint8],
        "grad": ["all", "some", "input"],
    }

    def make(draw, row, target=None):
        (fan_in, classes, cutoffs, div_value), dtype = row["sizes"], row["dtype"]
        lead = () if row["batch"] is None else (row["batch"],)
        x = draw.regime(row["regime"], (*lead, fan_in), dtype)
        ranges = {"any": (0, classes), "head": (0, cutoffs[0]), "last cluster": (cutoffs[-1], classes)}
        low, high = ranges[row["classes"]]
        target = draw.integers(lead, low, high, row["target"]) if target is None else target
        parameters = _adaptive_parameters(draw, row["sizes"], row["head_bias"], dtype)
        options = {"in_features": fan_in, "n_classes": classes, "cutoffs": cutoffs}
        options |= given(div_value=div_value, head_bias=row["head_bias"])
        names = ["input", *parameters]
        grad_of = {"all": names, "some": draw.subset(names), "input": ["input"]}[row["grad"]]
        mark = "A.2" if row["target"] == torch.uint8 else None
        return Case({"input": x, "target": target}, options, parameters, tuple(grad_of), deviation=mark)

    suite.cover(factors, 210, make)
    plain = {"dtype": F32, "sizes": ADAPTIVE[0], "batch": 3, "classes": "any", "head_bias": None}
    plain |= {"regime": "normal", "target": torch.int64, "grad": "input"}

    def error(target=None, **change):
        case = make(suite.draw, plain, target)
        inputs = {**case.inputs, **change.pop("inputs", {})}
        suite.error(inputs, {**case.options, **change}, case.tensor_options)

    for bad in ([0, 8, 1], [0, -1, 1], [0, 1], [[0], [1], [2]], 1):
        error(torch.tensor(bad))
    for cutoffs in ([], [0], [-1, 3], [3, 3], [5, 3], [8], [3, 9]):
        error(cutoffs=cutoffs)
    error(inputs={"input": suite.draw.normal((3, 7), F32)})
    error(inputs={"input": suite.draw.normal((3, 6), F64)})
    error(inputs={"target": torch.tensor([0.0, 1.0, 2.0])})


def sigmoid_focal_reference(input, target, alpha=0.25, gamma=2.0, reduction="none"):
    """A.12: alpha_t (1 - p_t)^gamma BCE, without computing 1 - p by a subtraction."""
    p, q = torch.sigmoid(input), torch.sigmoid(-input)
    bce = -target * F.logsigmoid(input) - (1 - target) * F.logsigmoid(-input)
    loss = (p * (1 - target) + q * target) ** gamma * bce
    return reduce(loss if alpha < 0 else (alpha * target + (1 - alpha) * (1 - target)) * loss, reduction)


def _logits(draw, regime, shape, dtype):
    if regime == "saturated":
        return draw.signed(shape, [15.0, 18.0, 20.0, 25.0, 0.5], dtype)
    return draw.regime(regime, shape, dtype)


def _meets_its_zero(case, exact):
    """A second order of 0 because two terms are equal, as at logit 0. In f32 they differ by rounding errors."""
    return any(t.numel() > 0 and not t.any() for t in exact.grads2.values())


def _fill_sigmoid_focal(suite):
    factors = {
        "dtype": DTYPES,
        "shape": SHAPES,
        "regime": ["normal", "wide", "tiny", "kink", "saturated"],
        "target": ["hard", "soft"],
        "alpha": [None, 0.25, 0.5, 1.0, 0.0, -1.0],
        "gamma": [None, 2.0, 0.0, 1.0, 1.5, 3.0],
        "reduction": ["mean", "sum", "none"],
        "grad": ["all", "input", "input"],
    }

    def make(draw, row):
        shape, dtype = row["shape"], row["dtype"]
        x = _logits(draw, row["regime"], shape, dtype)
        hard = row["target"] == "hard"
        y = draw.pick(shape, [0.0, 1.0], dtype) if hard else draw.uniform(shape, dtype, 0.05, 0.95)
        return loss_case(draw, row, {"input": x, "target": y}, ["alpha", "gamma"])

    suite.cover(factors, 310, make)
    shape_errors(suite, ("input", "target"))


def focal_reference(
    input, target, gamma=2.0, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"
):
    """A.12: (1 - p_t)^gamma times the term of cross_entropy; 1 - p_t is the sum of the other probabilities."""
    kept = target.long() != ignore_index
    x = torch.where(kept.unsqueeze(1), input, torch.zeros_like(input))
    t = torch.where(kept, target.long(), 0)
    terms = F.cross_entropy(x, t, weight, label_smoothing=label_smoothing, reduction="none")
    others = torch.ones_like(x).scatter(1, t.unsqueeze(1), 0.0)
    loss = torch.where(kept, (others * x.softmax(1)).sum(1) ** gamma * terms, torch.zeros_like(terms))
    if reduction != "mean":
        return reduce(loss, reduction)
    chosen = torch.ones_like(loss) if weight is None else weight[t]
    return loss.sum() / (chosen * kept).sum()


FOCAL_SHAPES = [(4, 3), (1, 5), (6, 2), (5, 17), (2, 3, 4), (2, 3, 2, 2), (1, 4, 3), (0, 3), (3, 4)]


def _fill_focal(suite):
    factors = {
        "dtype": DTYPES,
        "shape": FOCAL_SHAPES,
        "regime": ["normal", "wide", "tiny", "kink"],
        "ignore": ["absent", "absent but met", "255", "a class"],
        "target": [torch.int64, torch.int64, torch.uint8],
        "gamma": [None, 2.0, 0.0, 1.0, 1.5, 3.0],
        "label_smoothing": [None, 0.0, 0.125, 0.1],
        "weight": [None, "positive", "zeros"],
        "reduction": REDUCTIONS,
    }

    def make(draw, row):
        shape, dtype = row["shape"], row["dtype"]
        target, ignore_index = indices(draw, shape, row["ignore"], row["target"])
        extra = {"weight": weights(draw, shape[1:2], dtype, row["weight"])} if row["weight"] else {}
        options = given(ignore_index=ignore_index, **{n: row[n] for n in ("gamma", "label_smoothing", "reduction")})
        return Case({"input": draw.regime(row["regime"], shape, dtype), "target": target}, options, extra, ("input",))

    suite.cover(factors, 250, make, lambda row: row["target"] == torch.int64 or row["ignore"] != "absent but met")
    draw = suite.draw
    x, t = draw.normal((4, 3), F32), torch.tensor([0, 2, 1, 0])
    for bad in ([0, 3, 1, 0], [0, -1, 1, 0], [0, 1], [[0], [1], [2], [0]]):
        suite.error({"input": x, "target": torch.tensor(bad)})
    suite.error({"input": x, "target": t.to(F32)})
    for options in ({"label_smoothing": 1.5}, {"label_smoothing": -0.1}, {"reduction": "batchmean"}):
        suite.error({"input": x, "target": t}, options)
    for shape, dtype in (((2,), F32), ((3,), F64)):
        suite.error({"input": x, "target": t}, {}, {"weight": draw.uniform(shape, dtype)})


def dice_reference(input, target, smooth=1.0, from_logits=True):
    """A.12: the sums of a class run over batch and positions; then the mean over classes. Logits: sigmoid."""
    p = torch.sigmoid(input) if from_logits else input
    axes = [axis for axis in range(input.dim()) if axis != 1]
    overlap, total = (p * target).sum(axes), p.sum(axes) + target.sum(axes)
    return (1 - (2 * overlap + smooth) / (total + smooth)).mean()


def _fill_dice(suite):
    factors = {
        "dtype": DTYPES,
        "shape": [(4, 3), (1, 5), (3, 1), (1, 1), (5, 17), (2, 3, 4), (2, 3, 2, 2), (1, 2, 3, 1, 2)],
        "regime": ["normal", "wide", "tiny", "kink", "saturated"],
        "target": ["hard", "soft", "nothing", "everything"],
        "smooth": [None, 1.0, 0.5, 0.001],
        "from_logits": [True, False],
        "grad": ["all", "input", "input"],
    }

    def make(draw, row):
        shape, dtype = row["shape"], row["dtype"]
        if row["from_logits"]:
            x = _logits(draw, row["regime"], shape, dtype)
        elif row["regime"] == "normal":
            x = draw.uniform(shape, dtype)
        else:
            x = draw.pick(shape, [0.0, 1.0, 0.25, 0.5], dtype)
        target = {
            "hard": lambda: draw.pick(shape, [0.0, 1.0], dtype),
            "soft": lambda: draw.uniform(shape, dtype),
            "nothing": lambda: torch.zeros(shape, dtype=dtype),
            "everything": lambda: torch.ones(shape, dtype=dtype),
        }[row["target"]]()
        return loss_case(draw, {**row, "reduction": None}, {"input": x, "target": target}, ["smooth", "from_logits"])

    suite.cover(factors, 230, make)
    draw = suite.draw
    for a, b in [((4, 3), (4,)), ((4, 3), (4, 1)), ((2, 3, 4), (2, 3)), ((4, 3), (3, 3))]:
        suite.error({"input": draw.uniform(a, F32), "target": draw.uniform(b, F32)}, {"from_logits": True})
    suite.error({"input": draw.uniform((4, 3), F32), "target": draw.uniform((4, 3), F64)}, {"from_logits": True})


OPS = {
    "adaptive_log_softmax_with_loss": Op(_fill_adaptive, _torch_adaptive, adaptive_reference, saturates="small"),
    "sigmoid_focal_loss": Op(
        _fill_sigmoid_focal, missing, sigmoid_focal_reference, "A.12", saturates="to zero", noisy=_meets_its_zero
    ),
    "focal_loss": Op(_fill_focal, missing, focal_reference, "A.12", saturates="small"),
    "dice_loss": Op(_fill_dice, missing, dice_reference, "A.12", saturates="to zero"),
}
