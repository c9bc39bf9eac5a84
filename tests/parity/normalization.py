"""Normalization: values and gradients of x, weight and bias, and the running statistics after the call."""

import torch
import torch.nn.functional as F

from suite import Case, Op
from values import DTYPES, F32

CHANNELS = [(4, 3), (2, 3, 5), (3, 2, 2, 4), (2, 4, 1, 3), (3, 35), (0, 3, 4)]
REGIMES = ["normal", "wide", "shifted", "kink"]
AFFINE = ["both", "weight", "bias", "none"]


def _values(draw, row):
    """shifted: a mean that is large against the deviation."""
    if row["regime"] == "shifted":
        return draw.normal(row["shape"], row["dtype"], shift=50.0)
    return draw.regime(row["regime"], row["shape"], row["dtype"], (0.0, 1.0, 3.0))


def _affine(draw, row, shape):
    names = {"both": ["weight", "bias"], "none": []}.get(row["affine"], [row["affine"]])
    return {name: draw.normal(shape, row["dtype"], scale=0.5, shift=1.0) for name in names}


def _case(row, x, tensors, names, running=None):
    options = {name: row[name] for name in names if row[name] is not None}
    grad_of = ("input", *(name for name in tensors if name in ("weight", "bias")))
    return Case({"input": x}, options, {**tensors, **(running or {})}, grad_of=grad_of)


def _running(draw, row, channels):
    return {
        "running_mean": draw.normal((channels,), row["dtype"]),
        "running_var": draw.uniform((channels,), row["dtype"], 0.5, 2.0),
    }


def by_channels(function, flag, shapes, valid):
    """batch_norm and instance_norm. `flag`: the option that says where statistics come from."""
    factors = {
        "dtype": DTYPES,
        "shape": shapes,
        "regime": REGIMES,
        "affine": AFFINE,
        "running": [True, False],
        flag: [True, False],
        "momentum": [None, 0.3, 1.0],
        "eps": [None, 1e-3],
    }

    def make(draw, row):
        x = _values(draw, row)
        running = _running(draw, row, x.shape[1]) if row["running"] else {}
        return _case(row, x, _affine(draw, row, (x.shape[1],)), (flag, "momentum", "eps"), running)

    def fill(suite):
        suite.cover(factors, 80, make, valid)
        x = suite.draw.normal((2, 3, 4), F32)
        suite.error({"input": x}, {flag: True}, {"weight": suite.draw.normal((4,), F32)})
        suite.error({"input": x}, {flag: False})
        suite.error({"input": x}, {flag: False}, {"running_mean": x[0, :2, 0], "running_var": x[0, :2, 0]})
        suite.error({"input": x[:1, :, :1].contiguous()}, {flag: True})
        suite.error({"input": suite.draw.normal((3,), F32)}, {flag: True})
        suite.error({"input": suite.draw.integers((2, 3, 4), 0, 5)}, {flag: True})

    return Op(fill, function, _of_channels(flag == "training"), torch_twice=False)


def _per_channel(t, x):
    return t.reshape(1, -1, *[1] * (x.dim() - 2))


def _affinely(y, weight, bias):
    y = y if weight is None else y * _per_channel(weight, y)
    return y if bias is None else y + _per_channel(bias, y)


def _with_statistics(x, mean, variance, weight, bias, eps):
    return _affinely((x - mean) / (variance + eps).sqrt(), weight, bias)


def _of_channels(batch):
    """A formula of batch_norm, or of instance_norm, whose second order PyTorch refuses without a weight."""

    def call(
        input,
        running_mean=None,
        running_var=None,
        weight=None,
        bias=None,
        training=False,
        use_input_stats=True,
        momentum=0.1,
        eps=1e-5,
    ):
        running = [t for t in (running_mean, running_var) if t is not None]
        if input.numel() == 0:
            return _after(_affinely(input, weight, bias), running)
        if not (training if batch else use_input_stats):
            mean, variance = (_per_channel(t, input) for t in running)
            return _after(_with_statistics(input, mean, variance, weight, bias, eps), running)
        dims = [i for i in range(input.dim()) if i != 1 and (batch or i != 0)]
        mean = input.mean(dims, keepdim=True)
        variance = (input - mean).square().mean(dims, keepdim=True)
        y = _with_statistics(input, mean, variance, weight, bias, eps)
        count = mean.numel() and input.numel() // mean.numel()
        of_batch = (mean, variance * count / (count - 1))
        kept = [(1 - momentum) * t + momentum * new.transpose(0, 1).flatten(1).mean(1) for t, new in zip(running, of_batch)]
        return _after(y, kept)

    return call


def _after(y, running):
    """The running statistics after the call are outputs too."""
    return (y, *(t.detach().clone() for t in running)) if running else y


def _batch_norm(input, running_mean=None, running_var=None, **options):
    running = [t.clone() for t in (running_mean, running_var) if t is not None]
    y = F.batch_norm(input, *(running or (None, None)), **options)
    return _after(y, running)


def _instance_norm(input, running_mean=None, running_var=None, **options):
    running = [t.clone() for t in (running_mean, running_var) if t is not None]
    y = F.instance_norm(input, *(running or (None, None)), **options)
    return _after(y, running)


def by_rows(function, formula, affine, eps):
    """layer_norm and rms_norm."""
    factors = {
        "dtype": DTYPES,
        "shape": [(3, 7), (2, 3, 4), (33, 3), (2, 2, 3, 2), (6,), (0, 3), (1, 70)],
        "dims": [1, 2],
        "regime": REGIMES,
        "affine": affine,
        "eps": eps,
    }

    def make(draw, row):
        shape = list(row["shape"][-row["dims"] :])
        x, tensors = _values(draw, row), _affine(draw, row, shape)
        case = _case(row, x, tensors, ("eps",))
        case.options["normalized_shape"] = shape
        return case

    def fill(suite):
        suite.cover(factors, 70, make, lambda row: row["dims"] <= len(row["shape"]))
        x = suite.draw.normal((2, 3), F32)
        suite.error({"input": x}, {"normalized_shape": [2]})
        suite.error({"input": x}, {"normalized_shape": [1, 2, 3]})
        suite.error({"input": x}, {"normalized_shape": [3]}, {"weight": suite.draw.normal((2,), F32)})
        suite.error({"input": suite.draw.integers((2, 3), 0, 5)}, {"normalized_shape": [3]})

    return Op(fill, function, formula, torch_twice=False)


def _fill_group_norm(suite):
    factors = {
        "dtype": DTYPES,
        "shape": [(2, 6), (2, 4, 5), (3, 6, 2, 3), (1, 12, 1, 2), (0, 6, 4)],
        "num_groups": [1, 2, 3, 4, 6],
        "regime": REGIMES,
        "affine": AFFINE,
        "eps": [None, 1e-3],
    }

    def make(draw, row):
        x = _values(draw, row)
        return _case(row, x, _affine(draw, row, (x.shape[1],)), ("num_groups", "eps"))

    def valid(row):
        shape, groups = row["shape"], row["num_groups"]
        count = shape[1] // groups * torch.Size(shape[2:]).numel()
        return shape[1] % groups == 0 and count > 1  # one element: only rounding errors of 0

    suite.cover(factors, 70, make, valid)
    x = suite.draw.normal((2, 6, 2), F32)
    suite.error({"input": x}, {"num_groups": 4})
    suite.error({"input": x}, {"num_groups": 0})
    suite.error({"input": x}, {"num_groups": 2}, {"weight": suite.draw.normal((2,), F32)})
    suite.error({"input": suite.draw.integers((2, 6), 0, 5)}, {"num_groups": 2})


def _group_norm(input, num_groups, **options):
    return F.group_norm(input, num_groups, **options)


def _rows(centered):
    """A formula of layer_norm and rms_norm, whose second order PyTorch refuses without a weight."""

    def call(input, normalized_shape, weight=None, bias=None, eps=1e-5):
        dims = list(range(-len(normalized_shape), 0))
        x = input - input.mean(dims, keepdim=True) if centered else input
        y = x / (x.square().mean(dims, keepdim=True) + eps).sqrt()
        y = y if weight is None else y * weight
        return y if bias is None else y + bias

    return call


def _by_groups(input, num_groups, weight=None, bias=None, eps=1e-5):
    if input.numel() == 0:
        return _affinely(input, weight, bias)
    x = input.reshape(input.shape[0], num_groups, -1)
    return _affinely(_rows(True)(x, [x.shape[2]], eps=eps).reshape(input.shape), weight, bias)


def _layer_norm(input, normalized_shape, **options):
    return F.layer_norm(input, normalized_shape, **options)


def _rms_norm(input, normalized_shape, **options):
    return F.rms_norm(input, normalized_shape, **options)


OPS = {
    "batch_norm": by_channels(
        _batch_norm,
        "training",
        CHANNELS,
        lambda row: row["training"] or row["running"],
    ),
    "instance_norm": by_channels(
        _instance_norm,
        "use_input_stats",
        [(2, 3, 5), (3, 2, 2, 4), (2, 4, 1, 3), (1, 36, 2)],
        lambda row: row["use_input_stats"] or row["running"],
    ),
    "layer_norm": by_rows(_layer_norm, _rows(True), AFFINE, [None, 1e-3]),
    "group_norm": Op(_fill_group_norm, _group_norm, _by_groups, torch_twice=False),
    "rms_norm": by_rows(_rms_norm, _rows(False), ["weight", "none"], [1e-5, 1e-3]),
}
