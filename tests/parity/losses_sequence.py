"""CTC of log-probabilities (with the true gradient, A.7), and composed with log_softmax."""

import torch
import torch.nn.functional as F

from losses_pointwise import given, reduce
from suite import Case, Op
from values import DTYPES, F32, F64, INF

REDUCTIONS = [None, "mean", "sum", "none"]


def _sum_log(terms):
    """Returns log(sum(exp)) of the reachable terms (not None), or None if there are none."""
    terms = [t for t in terms if t is not None]
    return torch.logsumexp(torch.stack(terms), 0) if terms else None


def _row_loss(log_probs, labels, blank):
    """Returns -log p(labels | log_probs (T, C)) by the alpha recursion over reachable states; None if impossible."""
    if log_probs.shape[0] == 0:
        return None if labels else log_probs.sum() * 0
    states = [blank]
    for label in labels:
        states += [label, blank]

    def emit(t, s, alpha):
        score = log_probs[t, states[s]]
        return None if alpha is None or score.item() == -INF else alpha + score

    zero = log_probs.new_zeros(())
    alphas = [emit(0, s, zero if s < 2 else None) for s in range(len(states))]
    for t in range(1, log_probs.shape[0]):
        previous, alphas = alphas, []
        for s in range(len(states)):
            terms = previous[max(s - 1, 0) : s + 1]
            if s > 1 and states[s] != states[s - 2]:
                terms = [previous[s - 2], *terms]
            alphas.append(emit(t, s, _sum_log(terms)))
    total = _sum_log(alphas[-2:])
    return None if total is None else -total


def _rows(log_probs, targets, input_lengths, target_lengths):
    """Yields (log_probs (T_b, C), labels) of each sample. Targets are padded (N, S) or concatenated."""
    offset = 0
    for b, (length, count) in enumerate(zip(input_lengths.reshape(-1).tolist(), target_lengths.reshape(-1).tolist())):
        labels = targets[b, :count] if targets.dim() == 2 else targets[offset : offset + count]
        offset += count
        yield log_probs[:length, b], labels.tolist()


def ctc_reference(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    """The formula, which can be differentiated any number of times."""
    batch = log_probs if log_probs.dim() == 3 else log_probs.unsqueeze(1)
    losses = []
    for scores, labels in _rows(batch, targets, input_lengths, target_lengths):
        loss = _row_loss(scores, labels, blank)
        losses.append(batch.new_tensor(0.0 if zero_infinity else INF) if loss is None else loss)
    loss = torch.stack(losses) if losses else batch.sum((0, 2))
    if reduction == "mean":
        loss = loss / target_lengths.reshape(-1).clamp(min=1)
    loss = loss if log_probs.dim() == 3 else loss[0]
    return reduce(loss, reduction)


def _torch_ctc(log_probs, targets, *lengths, **options):
    return F.ctc_loss(log_probs, targets.long(), *lengths, **options)


def _composed(ctc):
    def from_logits(logits, *others, **options):
        return ctc(logits.log_softmax(-1), *others, **options)

    return from_logits


def ctc_from_logits_reference(logits, *others, **options):
    """If a loss is infinite, torch decides which gradients are NaN."""
    infinite = not options.get("zero_infinity") and _infeasible([logits, *others], options.get("blank", 0))
    return _composed(_torch_ctc if infinite else ctc_reference)(logits, *others, **options)


def _lengths(draw, row):
    """Returns (T, N, input lengths, target lengths): `tight` has exactly enough frames, `infeasible` one too few."""
    kind, n = row["lengths"], row["batch"] or 1
    counts = [draw.rng.randrange(0 if kind == "empty targets" else 1, 4) for _ in range(n)]
    if kind == "empty targets":
        counts[0] = 0
    frames = 6 if row["frames"] == "full" else 7
    inputs = [frames if row["frames"] == "full" else draw.rng.randrange(5, frames + 1) for _ in range(n)]
    if kind in ("tight", "infeasible"):
        inputs = [max(count - (kind == "infeasible" and b == 0), 0) for b, count in enumerate(counts)]
        frames = max(*inputs, 1)
    return frames, torch.tensor(inputs), torch.tensor(counts)


def _labels(draw, row, count):
    """Draws labels without the blank. `repeated` ones need a blank between them."""
    classes = [c for c in range(row["classes"]) if c != row["blank"]]
    if row["labels"] == "repeated":
        return [draw.rng.choice(classes)] * count
    return [draw.rng.choice(classes) for _ in range(count)]


def _targets(draw, row, counts):
    rows = [_labels(draw, row, count) for count in counts.tolist()]
    dtype = row["dtype of targets"]
    if row["layout"] == "concatenated" or row["batch"] is None:
        return torch.tensor([label for labels in rows for label in labels], dtype=dtype)
    width = max(map(len, rows), default=0) + draw.rng.randrange(2)
    padded = [labels + [1] * (width - len(labels)) for labels in rows]
    return torch.tensor(padded, dtype=dtype).reshape(len(rows), width)


FACTORS = {
    "dtype": DTYPES,
    "batch": [None, 1, 2, 3],
    "classes": [2, 3, 5],
    "blank": [None, 0, 1],
    "lengths": ["free", "tight", "infeasible", "empty targets"],
    "frames": ["full", "ragged"],
    "labels": ["any", "repeated"],
    "layout": ["padded", "concatenated"],
    "dtype of targets": [torch.int64, torch.int64, torch.uint8],
    "regime": ["normal", "wide", "masked"],
    "reduction": REDUCTIONS,
    "zero_infinity": [None, True, False],
}


def _infeasible(inputs, blank):
    batch = inputs[0] if inputs[0].dim() == 3 else inputs[0].unsqueeze(1)
    return any(_row_loss(s, labels, blank) is None for s, labels in _rows(batch, *inputs[1:]))


def _case(name, normalized):
    """Returns make(draw, row). An infinite loss has no second order, and no gradient if torch's is not usable."""

    def make(draw, row):
        row = {**row, "blank": row["blank"] or 0, "given blank": row["blank"]}
        frames, inputs, counts = _lengths(draw, row)
        shape = (frames, row["classes"]) if row["batch"] is None else (frames, row["batch"], row["classes"])
        x = draw.normal(shape, F64, 5.0 if row["regime"] == "wide" else 1.0)
        if row["regime"] == "masked":
            x = torch.where(draw.uniform(shape) < 0.12, torch.full_like(x, -INF), x)
            x[..., row["blank"]] = 0.25
        x = (x.log_softmax(-1) if normalized and draw.rng.random() < 0.8 else x).to(row["dtype"])
        if row["batch"] is None:
            inputs, counts = inputs[0].clone(), counts[0].clone()
        targets = _targets(draw, row, counts.reshape(-1))
        tensors = {name: x, "targets": targets, "input_lengths": inputs, "target_lengths": counts}
        options = given(blank=row["given blank"], reduction=row["reduction"], zero_infinity=row["zero_infinity"])
        infinite = not row["zero_infinity"] and _infeasible(list(tensors.values()), row["blank"])
        # For -inf torch's gradient is NaN even when composed. The true gradient is 0.
        deviation = "A.7" if normalized or row["regime"] == "masked" else None
        grad_of = () if infinite and (normalized or deviation) else (name,)
        return Case(tensors, options, grad_of=grad_of, second=not infinite, deviation=deviation)

    return make


def _errors(suite, name):
    draw = suite.draw

    def error(targets, inputs, counts, options=None, shape=(5, 2, 4), dtype=F32):
        tensors = [torch.tensor(t) for t in (targets, inputs, counts)]
        names = ("targets", "input_lengths", "target_lengths")
        suite.error({name: draw.normal(shape, dtype).log_softmax(-1), **dict(zip(names, tensors))}, options)

    good = [[1, 2], [3, 1]]
    for blank in [-1, 4]:
        error(good, [5, 5], [2, 2], {"blank": blank})
    error(good, [5, 5, 5], [2, 2])
    error(good, [5, 5], [2])
    error(good, [5, 6], [2, 2])
    error(good, [5, -1], [2, 2])
    error(good, [5, 5], [2, -1])
    error(good, [5, 5], [2, 3])
    error([1, 2, 3], [5, 5], [2, 2])
    error([1, 2, 3, 1, 2], [5, 5], [2, 2])
    error([[1, 4], [3, 1]], [5, 5], [2, 2])
    error([[1, -1], [3, 1]], [5, 5], [2, 2])
    error(good, [5.0, 5.0], [2, 2])
    error(good, [5, 5], [2, 2], {"reduction": "batchmean"})


def _fill(name, normalized):
    def fill(suite):
        suite.cover(FACTORS, 340 if normalized else 280, _case(name, normalized))
        for reduction in ("mean", "sum", "none"):
            lengths = torch.zeros((0,), dtype=torch.int64)
            tensors = {name: torch.zeros((3, 0, 4)), "targets": torch.zeros((0, 2), dtype=torch.int64)}
            tensors |= {"input_lengths": lengths, "target_lengths": lengths.clone()}
            suite.add(Case(tensors, {"reduction": reduction}, grad_of=(name,), deviation="A.4", compare=False))
        _errors(suite, name)

    return fill


OPS = {
    "ctc_loss": Op(_fill("log_probs", True), _torch_ctc, ctc_reference, torch_twice=False, saturates="small"),
    "ctc_loss_from_logits": Op(
        _fill("logits", False), _composed(_torch_ctc), ctc_from_logits_reference, torch_twice=False, saturates="small"
    ),
}
