#!/usr/bin/env python3
"""Writes numerics.safetensors: every loss and its gradients on a grid with 60 digits, and the errors of PyTorch's f32.

`ebb-numerics` reads the file, measures Ebb in the same way, and fails if Ebb is worse. See docs/numerics.md.
"""

import argparse
import json
import math
import pathlib
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from mpmath import mpf

import storage
from highprec import Number, absolute, exp, hinge, log, log_softmax, softplus, total
from numerics_definitions import (ADAPTIVE, WIDTHS, adaptive, bce, bce_with_logits, cosine, cross_entropy, ctc, dice, focal,
                                  multi_margin, multilabel_margin, sigmoid_focal, smooth_l1, stirling, triplet)

F32, F64 = torch.float32, torch.float64
GENERATOR = torch.Generator().manual_seed(1)


@dataclass
class Loss:
    """`define(sample)` returns the loss of one sample, a Number, from {name: Number, list of Numbers or of ints}.

    If all samples have one common loss, it may return a list of outputs: a vector, then a scalar.
    """

    row: str  # its name in the table
    op: str
    inputs: dict
    define: callable
    torch: callable
    options: dict = field(default_factory=dict)
    axis: int = 0  # the axis of the samples
    together: bool = False  # all samples have one common loss
    composed: bool = False  # PyTorch does not have the loss; its textbook composition is used
    constant: tuple = ()  # floating inputs without a gradient
    parameters: tuple = ()  # inputs that are passed by name


# ---- the grid ----


def uniform(count, low=0.0, high=1.0):
    return (low + (high - low) * torch.rand(count, generator=GENERATOR, dtype=F64)).to(F32)


def magnitudes(count, low, high):
    return 10 ** uniform(count, math.log10(low), math.log10(high)).double()


def signs(count):
    return torch.randint(0, 2, (count,), generator=GENERATOR).to(F32) * 2 - 1


def labels(shape, classes):
    return torch.randint(0, classes, shape, generator=GENERATOR)


def scores(count):
    """Returns numbers of both signs from 1e-6 to 1e4, and points at which f32 saturates, underflows, or loses a 1."""
    edges = [1e-30, 2.0**-25, 2.0**-24, 2.0**-12, 0.5, 1.0, 15.0, 16.625, 17.0, 20.0, 50.0, 87.0, 88.0, 89.0, 104.0, 1e4]
    fixed = torch.tensor([s * e for e in edges for s in (1.0, -1.0)], dtype=F64)
    drawn = magnitudes(count - len(fixed), 1e-6, 1e4) * signs(count - len(fixed)).double()
    return torch.cat([fixed, drawn]).to(F32)


def vectors(rows, width, low=1e-3, high=1e4):
    """Returns rows of numbers with one magnitude each, from `low` to `high`."""
    size = magnitudes(rows, low, high).unsqueeze(1)
    return (torch.randn((rows, width), generator=GENERATOR, dtype=F64) * size).to(F32).clamp(-1e4, 1e4)


def shuffled(x):
    return x[torch.randperm(len(x), generator=GENERATOR)]


COUNT, ROWS = 600, 200


# ---- compositions of losses that PyTorch does not have ----


def torch_sigmoid_focal(input, target):
    """The formula of torchvision."""
    p = torch.sigmoid(input)
    ce = F.binary_cross_entropy_with_logits(input, target, reduction="none")
    p_t = p * target + (1 - p) * (1 - target)
    return (0.25 * target + 0.75 * (1 - target)) * ce * (1 - p_t) ** 2


def torch_focal(input, target):
    ce = F.cross_entropy(input, target, reduction="none")
    return (1 - torch.exp(-ce)) ** 2 * ce


def torch_dice(input, target, from_logits):
    p = torch.sigmoid(input)
    return (1 - (2 * (p * target).sum(0) + 1) / (p.sum(0) + target.sum(0) + 1)).mean()


def torch_ctc(logits, targets, input_lengths, target_lengths):
    return F.ctc_loss(logits.log_softmax(-1), targets, input_lengths, target_lengths, reduction="none")


def torch_adaptive(input, target, in_features, n_classes, cutoffs, div_value, **parameters):
    module = torch.nn.AdaptiveLogSoftmaxWithLoss(in_features, n_classes, cutoffs, div_value)
    return tuple(torch.func.functional_call(module, parameters, (input, target)))


# ---- the table ----


def pointwise_losses():
    x, t = scores(COUNT), shuffled(scores(COUNT))
    pair = {"input": x, "target": t}
    yield Loss("l1_loss", "l1_loss", pair, lambda s: absolute(s["input"] - s["target"]), F.l1_loss)
    yield Loss("mse_loss", "mse_loss", pair, lambda s: (s["input"] - s["target"]) * (s["input"] - s["target"]), F.mse_loss)
    near = {"input": x, "target": (x + uniform(COUNT, -2, 2)).clamp(-1e4, 1e4)}
    yield Loss("smooth_l1_loss", "smooth_l1_loss", near, lambda s: smooth_l1(s, 1), F.smooth_l1_loss)
    yield Loss("huber_loss", "huber_loss", near, lambda s: smooth_l1(s, mpf(0.75)) * mpf(0.75), F.huber_loss, {"delta": 0.75})

    p = torch.cat([magnitudes(250, 1e-30, 1).to(F32), 1 - magnitudes(100, 2e-7, 0.5).to(F32), uniform(250, 0.01, 0.99)])
    y = torch.cat([labels((COUNT // 2,), 2).to(F32), uniform(COUNT // 2)])
    unit = {"input": p.clamp(1e-30, 1 - 2.0**-24), "target": shuffled(y)}
    yield Loss("binary_cross_entropy", "binary_cross_entropy", unit, bce, F.binary_cross_entropy)
    logits = {"input": x, "target": shuffled(y)}
    name = "binary_cross_entropy_with_logits"
    yield Loss(name, name, logits, bce_with_logits, F.binary_cross_entropy_with_logits)
    yield Loss(f"{name}, pos_weight", name, {**logits, "pos_weight": uniform(COUNT, 0.25, 8)}, bce_with_logits,
               F.binary_cross_entropy_with_logits, constant=("pos_weight",), parameters=("pos_weight",))
    yield Loss("sigmoid_focal_loss", "sigmoid_focal_loss", logits, sigmoid_focal, torch_sigmoid_focal, composed=True)
    yield Loss("soft_margin_loss", "soft_margin_loss", {"input": x, "target": signs(COUNT)},
               lambda s: softplus(-(s["input"] * s["target"])), F.soft_margin_loss, constant=("target",))
    yield Loss("hinge_embedding_loss", "hinge_embedding_loss", {"input": x, "target": signs(COUNT)},
               lambda s: s["input"] if s["target"] > 0 else hinge(1 - s["input"]), F.hinge_embedding_loss,
               constant=("target",))
    yield Loss("margin_ranking_loss", "margin_ranking_loss", {"input1": x, "input2": t, "target": signs(COUNT)},
               lambda s: hinge(mpf(0.5) - s["target"] * (s["input1"] - s["input2"])), F.margin_ranking_loss,
               {"margin": 0.5})

    logp = {"input": -x.abs(), "target": (magnitudes(COUNT, 1e-8, 1)).to(F32)}
    yield Loss("kl_div", "kl_div", logp, lambda s: s["target"] * (log(s["target"]) - s["input"]), F.kl_div)
    yield Loss("kl_div, log_target", "kl_div", {"input": -x.abs(), "target": -t.abs()},
               lambda s: exp(s["target"]) * (s["target"] - s["input"]), F.kl_div, {"log_target": True})
    counts = torch.cat([labels((COUNT // 2,), 20).to(F32) + 1, magnitudes(COUNT // 2, 1e-3, 1e4).to(F32)])
    rates = {"input": x.clamp(max=88.0), "target": shuffled(counts)}
    yield Loss("poisson_nll_loss", "poisson_nll_loss", rates,
               lambda s: exp(s["input"]) - s["target"] * s["input"] + stirling(s["target"]), F.poisson_nll_loss,
               {"full": True})
    yield Loss("poisson_nll_loss, log_input=False", "poisson_nll_loss", {**rates, "input": x.abs()},
               lambda s: s["input"] - s["target"] * log(s["input"] + mpf("1e-8")), F.poisson_nll_loss,
               {"log_input": False})
    yield Loss("gaussian_nll_loss", "gaussian_nll_loss", {**near, "var": magnitudes(COUNT, 1e-5, 1e4).to(F32)},
               lambda s: (log(s["var"]) + (s["input"] - s["target"]) * (s["input"] - s["target"]) / s["var"]) / 2,
               F.gaussian_nll_loss)


def row_losses():
    x, target = vectors(ROWS, 5), labels((ROWS,), 5)
    classes = {"input": x, "target": target}
    yield Loss("cross_entropy", "cross_entropy", classes, cross_entropy, F.cross_entropy)
    yield Loss("cross_entropy, label_smoothing", "cross_entropy", classes, lambda s: cross_entropy(s, mpf(0.125)),
               F.cross_entropy, {"label_smoothing": 0.125})
    q = torch.randn((ROWS, 5), generator=GENERATOR).softmax(1)
    yield Loss("cross_entropy, probabilities", "cross_entropy", {"input": x, "target": q},
               lambda s: -total(a * b for a, b in zip(s["target"], log_softmax(s["input"]))), F.cross_entropy)
    yield Loss("nll_loss", "nll_loss", {"input": -x.abs(), "target": target}, lambda s: -s["input"][s["target"][0]],
               F.nll_loss)
    yield Loss("focal_loss", "focal_loss", classes, focal, torch_focal, composed=True)
    for p in (1, 2):
        yield Loss(f"multi_margin_loss, p={p}", "multi_margin_loss", classes, lambda s, p=p: multi_margin(s, p),
                   F.multi_margin_loss, {"p": p})
    named = labels((ROWS, 5), 6) - 1
    yield Loss("multilabel_margin_loss", "multilabel_margin_loss", {"input": x, "target": named}, multilabel_margin,
               F.multilabel_margin_loss)
    y = labels((ROWS, 5), 2).to(F32)
    yield Loss("multilabel_soft_margin_loss", "multilabel_soft_margin_loss", {"input": x, "target": y},
               lambda s: total(bce_with_logits({"input": a, "target": b}) for a, b in zip(s["input"], s["target"])) / 5,
               F.multilabel_soft_margin_loss)
    pair = {"input1": vectors(ROWS, 4, 0.1), "input2": vectors(ROWS, 4, 0.1), "target": signs(ROWS)}
    yield Loss("cosine_embedding_loss", "cosine_embedding_loss", pair, cosine, F.cosine_embedding_loss,
               constant=("target",))
    three = dict(zip(("anchor", "positive", "negative"), (vectors(ROWS, 4, 0.1) for _ in range(3))))
    yield Loss("triplet_margin_loss", "triplet_margin_loss", three, triplet, F.triplet_margin_loss)
    for _ in range(8):
        yield Loss("dice_loss", "dice_loss", {"input": vectors(12, 2), "target": labels((12, 2), 2).to(F32)}, dice,
                   torch_dice, {"from_logits": True}, together=True, composed=True)
    frames = torch.stack([vectors(5, 4, 1e-2, 1e3) for _ in range(40)], 1)
    lengths = {"input_lengths": torch.full((40,), 5), "target_lengths": torch.full((40,), 2)}
    yield Loss("ctc_loss of log_softmax", "ctc_loss_from_logits",
               {"logits": frames, "targets": labels((40, 2), 3) + 1, **lengths}, ctc, torch_ctc, axis=1)
    name = "triplet_margin_with_distance_loss"
    yield Loss(name, name, three, triplet, F.triplet_margin_with_distance_loss)
    # A power of two, so that the upstream gradient (1 from the output and -1/8 from the loss) is exact.
    for _ in range(ROWS // 8):
        target = torch.randperm(10, generator=GENERATOR)[:8]  # some in every cluster
        drawn = {n: torch.randn(shape, generator=GENERATOR) / 2 for n, shape in WIDTHS.items()}
        yield Loss("adaptive_log_softmax", "adaptive_log_softmax_with_loss",
                   {"input": vectors(8, 8), "target": target, **drawn}, adaptive, torch_adaptive, ADAPTIVE,
                   together=True, parameters=tuple(WIDTHS))


# ---- measuring ----


def numbers(name, tensor, wants_gradient):
    """Returns a sample of one input: numbers that know their position, or plain integers."""
    if not tensor.is_floating_point():
        return tensor.reshape(-1).tolist()
    found = [Number(v, {(name, i): mpf(1)} if wants_gradient else {}) for i, v in enumerate(tensor.reshape(-1).tolist())]
    return found if tensor.dim() else found[0]


def axis_of(loss, name):
    return loss.axis if name == "logits" else 0


def samples(loss):
    if loss.together:
        return [loss.inputs]
    count = loss.inputs[next(iter(loss.inputs))].shape[loss.axis]
    return [{n: t.select(axis_of(loss, n), i) for n, t in loss.inputs.items()} for i in range(count)]


def exact(loss, names):
    """Returns {"output": tensor, "grad/...": tensor} in f64, rounded from 60 digits; with two outputs also "loss"."""
    results = [loss.define({n: numbers(n, t, n in names) for n, t in s.items()}) for s in samples(loss)]
    outputs, several = (results[0], True) if isinstance(results[0], list) else (results, False)
    found = {"output": torch.tensor([float(r.value) for r in outputs], dtype=F64)}
    if several:
        found |= {"output": found["output"][:-1].clone(), "loss": found["output"][-1].clone()}
        results = [total(outputs)]
    elif loss.together:
        found["output"] = found["output"][0]
    for name in names:
        shape = loss.inputs[name].shape
        size = loss.inputs[name].numel() // len(results)
        rows = torch.tensor([[float(r.partials.get((name, i), 0)) for i in range(size)] for r in results], dtype=F64)
        axis = axis_of(loss, name)
        moved = rows.reshape([len(results), *[n for i, n in enumerate(shape) if i != axis]]) if not loss.together else rows
        found[f"grad/{name}"] = moved.movedim(0, axis).reshape(shape).contiguous()
    return found


def of_torch(loss, names):
    inputs = {n: t.detach().clone().requires_grad_(n in names) for n, t in loss.inputs.items()}
    reduced = loss.composed or loss.op.startswith(("ctc", "adaptive"))
    options = dict(loss.options) if reduced else {**loss.options, "reduction": "none"}
    positional = {n: t for n, t in inputs.items() if n not in loss.parameters}
    extra = {n: t for n, t in inputs.items() if n in loss.parameters}
    outputs = loss.torch(*positional.values(), **extra, **options)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    grads = torch.autograd.grad(outputs, [inputs[n] for n in names], [torch.ones_like(o) for o in outputs])
    found = {n: o.detach() for n, o in zip(("output", "loss"), outputs)}
    return found | {f"grad/{n}": g for n, g in zip(names, grads)}


def misses(expected, got):
    """Returns the largest error in units in the last place of f32, and the largest relative error above the denormals."""
    error = (got.double() - expected).abs()
    exponent = torch.frexp(expected.abs()).exponent.clamp(min=-125).double()
    inside = expected.abs() <= torch.finfo(F32).max
    ulp = torch.where(inside, error / 2.0 ** (exponent - 24), torch.where(torch.isinf(got), 0.0, math.inf))
    normal = inside & (expected.abs() >= torch.finfo(F32).tiny)
    relative = torch.where(normal, error / expected.abs(), torch.zeros_like(error))
    return [max(x.nan_to_num(math.inf, math.inf).max().item(), 0.0) for x in (ulp, relative)]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seed", type=int, default=1, help="draws another grid")
    arguments.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "numerics.safetensors")
    arguments = arguments.parse_args()
    torch.set_num_threads(1)
    GENERATOR.manual_seed(arguments.seed)
    cases, tensors = [], {}
    for number_, loss in enumerate([*pointwise_losses(), *row_losses()]):
        names = [n for n, t in loss.inputs.items() if t.is_floating_point() and n not in loss.constant]
        expected, theirs = exact(loss, names), of_torch(loss, names)
        rival = {name: misses(t, theirs[name]) for name, t in expected.items()}
        case_id = f"{number_:03d}"
        options = {"reduction": "none", **loss.options} if not loss.together else loss.options
        weights = list(loss.parameters)
        cases.append({"id": case_id, "op": loss.op, "row": loss.row, "options": options,
                      "inputs": [n for n in loss.inputs if n not in weights], "tensor_options": weights,
                      "grad_of": names, "second": False, "composed": loss.composed,
                      "rival": {n: [min(v, 1e38) for v in m] for n, m in rival.items()}})
        tensors |= {f"{case_id}/{n}": t for n, t in {**loss.inputs, **expected}.items()}
        print(f"{loss.row}: " + ", ".join(f"{n} {m[0]:.3g} ulp {m[1]:.2g}" for n, m in rival.items()), flush=True)
    path = arguments.out
    metadata = {"format": "ebb-parity-1", "source": f"PyTorch {torch.__version__}", "cases": json.dumps(cases)}
    storage.save(path, tensors, metadata)
    print(f"{path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
