"""The longer losses of numerics.py, in numbers of 60 digits."""

import torch
from mpmath import mp, mpf

from highprec import Number, absolute, exp, hinge, log, log_softmax, log_sum_exp, sigmoid, softplus, sqrt, total

EPS = mpf(torch.tensor(1e-12, dtype=torch.float32).item())  # 1e-12 rounded to f32, as in torch's BCE and CosineEmbedding


def bce(s):
    """With torch's clamps and torch's gradients, which are not the derivatives of the clamps."""
    x, t = s["input"].value, s["target"].value
    logs = mp.log(x), mp.log1p(-x)
    value = -(t * max(logs[0], mpf(-100)) + (1 - t) * max(logs[1], mpf(-100)))
    slopes = (x - t) / max(x * (1 - x), EPS), logs[1] - logs[0]
    return Number(value, {("input", 0): slopes[0], ("target", 0): slopes[1]})


def bce_with_logits(s):
    positive = s["target"] * s["pos_weight"] if "pos_weight" in s else s["target"]
    return (1 - s["target"]) * softplus(s["input"]) + positive * softplus(-s["input"])


def smooth_l1(s, beta):
    d = s["input"] - s["target"]
    return d * d / (2 * beta) if abs(d.value) < beta else absolute(d) - mpf(beta) / 2


def stirling(t):
    return t * log(t) - t + log(t * (2 * mp.pi)) / 2 if t > 1 else Number(0)


def cross_entropy(s, smoothing=0):
    logs = log_softmax(s["input"])
    return -(logs[s["target"][0]] * (1 - mpf(smoothing)) + total(logs) * (mpf(smoothing) / len(logs)))


def multi_margin(s, p):
    x, t = s["input"], s["target"][0]
    terms = [hinge(1 - x[t] + x[i], 0) for i in range(len(x)) if i != t]
    return total(z if p == 1 else z * z for z in terms) / len(x)


def multilabel_margin(s):
    x, t = s["input"], s["target"]
    named = t[: t.index(-1)] if -1 in t else t
    return total(hinge(1 - x[k] + x[i], 0) for k in named for i in range(len(x)) if i not in named) / len(x)


def cosine(s):
    a, b = s["input1"], s["input2"]
    norms = [total(x * x for x in v) + EPS for v in (a, b)]
    c = total(x * y for x, y in zip(a, b)) / sqrt(norms[0] * norms[1])
    return 1 - c if s["target"].value == 1 else hinge(c)


def euclidean(a, b):
    return sqrt(total((x - y + mpf("1e-6")) * (x - y + mpf("1e-6")) for x, y in zip(a, b)))


def triplet(s):
    near, far = (euclidean(s["anchor"], s[other]) for other in ("positive", "negative"))
    return hinge(near - far + 1)


def sigmoid_focal(s):
    x, t = s["input"], s["target"]
    miss = (1 - t) * sigmoid(x) + t * sigmoid(-x)
    return (t * mpf("0.25") + (1 - t) * mpf("0.75")) * miss * miss * bce_with_logits(s)


def focal(s):
    x, t = s["input"], s["target"][0]
    lead = log_sum_exp([v for i, v in enumerate(x) if i != t]) - x[t]
    return sigmoid(lead) * sigmoid(lead) * softplus(lead)


def dice(s):
    """(N, C) flattened, C = 2."""
    p, t = [sigmoid(x) for x in s["input"]], s["target"]
    per_class = [1 - (total(a * b for a, b in zip(p[c::2], t[c::2])) * 2 + 1) / (total(p[c::2]) + total(t[c::2]) + 1)
                 for c in range(2)]
    return total(per_class) / 2


def ctc(s):
    """Computes the forward variables over the labels with blanks. No frame is padded and no loss is infinite."""
    classes = 4
    rows = [log_softmax(s["logits"][i : i + classes]) for i in range(0, len(s["logits"]), classes)]
    states = [0]
    for label in s["targets"]:
        states += [label, 0]
    alpha = {0: exp(rows[0][0]), 1: exp(rows[0][states[1]])}
    for row in rows[1:]:
        before, alpha = alpha, {}
        for i, c in enumerate(states):
            skip = i > 1 and c != 0 and c != states[i - 2]
            reached = [before[j] for j in (i, i - 1, *([i - 2] if skip else [])) if j in before]
            if reached:
                alpha[i] = total(reached) * exp(row[c])
    return -log(total(alpha[i] for i in (len(states) - 1, len(states) - 2) if i in alpha))


ADAPTIVE = {"in_features": 8, "n_classes": 10, "cutoffs": [3, 6], "div_value": 2.0}
WIDTHS = {"head.weight": (5, 8), "tail.0.0.weight": (4, 8), "tail.0.1.weight": (3, 4), "tail.1.0.weight": (2, 8),
          "tail.1.1.weight": (4, 2)}


def adaptive(s):
    """Returns the log-probability of each target, and minus their mean."""
    first, last = ADAPTIVE["cutoffs"]

    def linear(name, x):
        w = s[name]
        return [total(a * b for a, b in zip(w[i : i + len(x)], x)) for i in range(0, len(w), len(x))]

    def of_row(x, target):
        head = log_softmax(linear("head.weight", x))
        if target < first:
            return head[target]
        tail = int(target >= last)
        within = log_softmax(linear(f"tail.{tail}.1.weight", linear(f"tail.{tail}.0.weight", x)))
        return head[first + tail] + within[target - ADAPTIVE["cutoffs"][tail]]

    rows = [of_row(s["input"][8 * i : 8 * i + 8], t) for i, t in enumerate(s["target"])]
    return [*rows, -total(rows) / len(rows)]
