"""Convolutions and their transposes, as functions and as layers with padding modes."""

import torch
import torch.nn.functional as F

from suite import Case, Op
from values import DTYPES, F32

# Input and weight of conv; the second shapes have 2 groups, the third as many groups as channels.
SIZES = {
    1: [((2, 2, 7), (3, 2, 3)), ((3, 1, 5), (2, 1, 1)), ((1, 3, 9), (4, 3, 4)), ((2, 8), (3, 2, 3)), ((0, 2, 6), (3, 2, 2))],
    2: [
        ((2, 2, 4, 5), (3, 2, 3, 2)),
        ((1, 3, 5, 5), (4, 3, 3, 3)),
        ((2, 1, 6, 5), (2, 1, 1, 4)),
        ((2, 6, 7), (3, 2, 3, 3)),
        ((0, 2, 5, 5), (3, 2, 3, 3)),
        ((1, 2, 7, 6), (3, 2, 5, 5)),
        ((1, 17, 2, 3), (3, 17, 2, 2)),
    ],
}
NUMBERS = {1: [1, 2, 3], 2: [1, 2, (2, 1), (1, 3)]}
PADDINGS = {1: [0, 1, 2, 4, "same", "valid"], 2: [0, 1, (2, 0), (1, 3), 3, "same", "valid"]}
REGIMES = ["normal", "normal", "wide", "kink"]


def _pair(value, dims):
    return value if isinstance(value, tuple) else (value,) * dims


def _shapes(row, dims, transposed):
    """The shapes of input, weight and bias with the row's groups: 1, 2, or one for each channel."""
    x, w = row["shapes"]
    channel = len(x) - dims - 1
    groups = {"one": 1, "two": 2, "all": x[channel]}[row["groups"]]
    if row["groups"] == "two":
        x = (*x[:channel], 2 * x[channel], *x[channel + 1 :])
        w = (2 * w[0], *w[1:])
    if row["groups"] == "all":
        w = (2 * groups, 1, *w[2:])
    if transposed:  # the input has the channels of the weight's first size
        outputs = w[1]
        x = (*x[:channel], w[0], *x[channel + 1 :])
        return x, w, (outputs * groups,), groups
    return x, w, (w[0],), groups


def _fits(row, dims):
    if 17 in row["shapes"][0] and row["groups"] != "one":
        return False  # to save space
    if row["padding"] == "same" and row["stride"] != 1:
        return False
    padding = 0 if row["padding"] in ("same", "valid") else row["padding"]
    if row["padding"] == "same":
        return True
    x, w = row["shapes"]
    sizes = zip(x[-dims:], w[-dims:], _pair(padding, dims), _pair(row["dilation"], dims))
    return all(size + 2 * p >= d * (k - 1) + 1 for size, k, p, d in sizes)


def _transpose_fits(row, dims):
    x, w = row["shapes"]
    if 0 in x:  # torch computes other sizes there, also negative ones
        return False
    if 17 in x and row["groups"] != "one":
        return False  # to save space
    values = zip(x[-dims:], w[-dims:], *(_pair(row[o], dims) for o in ("padding", "dilation", "stride", "output_padding")))
    return all(
        more < max(s, d) and (size - 1) * s - 2 * p + d * (k - 1) + more + 1 >= 1 for size, k, p, d, s, more in values
    )


def _options(row, dims, groups):
    chosen = {name: row[name] for name in ("stride", "padding", "output_padding", "dilation") if name in row}
    chosen = {name: list(value) if isinstance(value, tuple) else value for name, value in chosen.items()}
    plain = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}
    chosen = {name: value for name, value in chosen.items() if value != plain[name]}
    return {**chosen, "groups": groups} if groups != 1 else chosen


def convolution(dims, transposed):
    factors = {
        "dtype": DTYPES,
        "shapes": SIZES[dims],
        "stride": NUMBERS[dims],
        "padding": PADDINGS[dims] if not transposed else [p for p in PADDINGS[dims] if not isinstance(p, str)],
        "dilation": NUMBERS[dims],
        "groups": ["one", "two", "all"],
        "bias": [True, False],
        "regime": REGIMES,
        "grad": ["all", "some"],
    }
    if transposed:
        factors["output_padding"] = [0, 1] if dims == 1 else [0, 1, (1, 0)]
    names = ("input", "weight", "bias")
    function = getattr(F, f"conv_transpose{dims}d" if transposed else f"conv{dims}d")

    def valid(row):
        return _transpose_fits(row, dims) if transposed else _fits(row, dims)

    def make(draw, row):
        x, w, b, groups = _shapes(row, dims, transposed)
        shapes = (x, w, b) if row["bias"] else (x, w)
        inputs = {n: draw.regime(row["regime"], s, row["dtype"]) for n, s in zip(names, shapes)}
        grad_of = tuple(inputs) if row["grad"] == "all" else tuple(draw.subset(list(inputs)))
        return Case(inputs, _options(row, dims, groups), grad_of=grad_of)

    def fill(suite):
        suite.cover(factors, 64, make, valid)
        draw, size = suite.draw, (5,) * dims
        for dtype in DTYPES:  # infinities and NaN reach what they touch, and nothing else
            x = draw.normal((1, 2, *((6,) * dims)), dtype)
            x.view(-1)[[3, 8, 11]] = torch.tensor([float("inf"), float("nan"), -float("inf")], dtype=dtype)
            w = draw.normal((2, 2, *((3,) * dims)), dtype)
            suite.add(Case({"input": x, "weight": w}, {"padding": 1}, grad_of=("weight",), second=False))
            suite.add(Case({"input": x, "weight": w}, {"stride": 2}, grad_of=("input",), second=False))

        def error(x, w, b=None, **options):
            tensors = dict(zip(names, [draw.normal(s, F32) for s in (x, w, b) if s is not None]))
            suite.error(tensors, options)

        error((1, 3, *size), (2, 4, *size))
        error((1, 2, *size), (2, 2, *size), (3,))
        error((1, 2, *size), (2, 2, *size), padding=-1)
        error((1, 2, *size), (2, 2, *size), stride=0)
        error((1, 2, *size), (2, 2, *size), dilation=0)
        error((1, 3, *size), (3, 1, *size), groups=2)
        error(size[1:], (2, 1, *size))
        if transposed:
            error((1, 2, *size), (2, 2, *size), stride=2, output_padding=2)
        else:
            error((1, 2, *size), (2, 2, *((6,) * dims)))
            error((1, 2, *size), (2, 2, *size), stride=2, padding="same")

    return Op(fill, function)


def _layer(dims):
    """Conv1d and Conv2d with all padding modes: the layer pads with the mode and then convolves. "constant" is zeros."""

    def function(input, weight, bias=None, padding_mode="constant", **options):
        padding_mode = {"constant": "zeros"}.get(padding_mode, padding_mode)
        kind = getattr(torch.nn, f"Conv{dims}d")
        groups = options.get("groups", 1)
        module = kind(
            weight.size(1) * groups, weight.size(0), tuple(weight.shape[2:]), bias=bias is not None,
            padding_mode=padding_mode, dtype=weight.dtype, **options,
        )
        tensors = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
        return torch.func.functional_call(module, tensors, (input,))

    factors = {
        "dtype": DTYPES,
        "shapes": [s for s in SIZES[dims] if 0 not in s[0]],
        "padding": [1, 2, "same"] if dims == 1 else [1, (2, 0), (0, 1), "same"],
        "padding_mode": ["reflect", "replicate", "circular", "constant"],
        "dilation": [1, 2],
        "stride": [1, 2],
        "groups": ["one", "two"],
        "bias": [True, False],
    }
    names = ("input", "weight", "bias")

    def valid(row):
        x, w = row["shapes"]
        pads = [
            row["dilation"] * (k - 1) // 2 + 1 if row["padding"] == "same" else p
            for k, p in zip(w[-dims:], _pair(row["padding"], dims))
        ]
        return _fits(row, dims) and all(p < size for p, size in zip(pads, x[-dims:]))

    def make(draw, row):
        x, w, b, groups = _shapes(row, dims, False)
        shapes = (x, w, b) if row["bias"] else (x, w)
        inputs = {n: draw.normal(s, row["dtype"]) for n, s in zip(names, shapes)}
        options = {**_options(row, dims, groups), "padding_mode": row["padding_mode"]}
        return Case(inputs, options, grad_of=tuple(inputs))

    def fill(suite):
        suite.cover(factors, 48, make, valid)

    return Op(fill, function)


def windows(folds):
    """unfold and fold."""
    factors = {
        "dtype": DTYPES,
        "image": [(2, 2, 5, 6), (1, 3, 4, 4), (2, 6, 5), (1, 1, 7, 3)],
        "kernel_size": [1, 2, (3, 2), (2, 3)],
        "stride": [1, 2, (1, 3)],
        "padding": [0, 1, (2, 0)],
        "dilation": [1, 2, (1, 2)],
        "regime": ["normal", "special"],
    }

    def sizes(row):
        values = zip(row["image"][-2:], *(_pair(row[o], 2) for o in ("kernel_size", "dilation", "padding", "stride")))
        return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in values]

    def valid(row):
        return min(sizes(row)) >= 1

    def make(draw, row):
        image, kernel = row["image"], _pair(row["kernel_size"], 2)
        count = sizes(row)
        columns = (*image[:-3], image[-3] * kernel[0] * kernel[1], count[0] * count[1])
        options = {o: list(row[o]) if isinstance(row[o], tuple) else row[o] for o in ("kernel_size", "stride", "padding", "dilation")}
        if folds:
            options["output_size"] = list(image[-2:])
        x = draw.regime(row["regime"], columns if folds else image, row["dtype"])
        return Case({"input": x}, options, grad_of=("input",), second=row["regime"] != "special")

    def fill(suite):
        suite.cover(factors, 60, make, valid)
        draw = suite.draw
        suite.error({"input": draw.normal((1, 1, 2, 2), F32)}, {"kernel_size": 3, **({"output_size": 2} if folds else {})})
        suite.error({"input": draw.normal((4,), F32)}, {"kernel_size": 1, **({"output_size": 2} if folds else {})})

    return Op(fill, F.fold if folds else F.unfold)


OPS = {
    "conv1d": convolution(1, False),
    "conv2d": convolution(2, False),
    "conv_transpose1d": convolution(1, True),
    "conv_transpose2d": convolution(2, True),
    "Conv1d": _layer(1),
    "Conv2d": _layer(2),
    "unfold": windows(False),
    "fold": windows(True),
}
