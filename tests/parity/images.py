"""Resizing, moving pixels between channels and positions, and bilinear forms."""

import torch
import torch.nn.functional as F

from suite import Case, Op
from values import DTYPES, F32

REGIMES = ["normal", "wide", "kink"]


def _interpolate(input, size=None, scale_factor=None, **options):
    """JSON has lists; PyTorch takes tuples."""
    size = tuple(size) if isinstance(size, list) else size
    scale_factor = tuple(scale_factor) if isinstance(scale_factor, list) else scale_factor
    return F.interpolate(input, size, scale_factor, **options)


SIZES = {
    3: [{"size": 3}, {"size": 11}, {"size": 1}, {"scale_factor": 2.0}, {"scale_factor": 0.6}, {"scale_factor": 1.7}],
    4: [
        {"size": [5, 3]},
        {"size": 7},
        {"size": [1, 9]},
        {"scale_factor": 2.0},
        {"scale_factor": [1.5, 0.5]},
        {"scale_factor": 1.3},
    ],
}


def _fill_interpolate(suite):
    factors = {
        "dtype": DTYPES,
        "shape": [(2, 3, 5), (1, 2, 8), (0, 2, 4), (2, 2, 3, 4), (1, 1, 6, 5), (0, 2, 3, 3), (1, 2, 1, 2)],
        "size": [0, 1, 2, 3, 4, 5],
        "mode": [None, "nearest", "linear", "bilinear", "area"],
        "align_corners": [None, False, True],
        "recompute_scale_factor": [None, True],
        "regime": REGIMES,
    }

    def options(row):
        found = dict(SIZES[len(row["shape"])][row["size"]])
        for name in ("mode", "align_corners", "recompute_scale_factor"):
            if row[name] is not None:
                found[name] = row[name]
        return found

    def valid(row):
        dims, mode = len(row["shape"]), row["mode"]
        if (mode == "linear" and dims != 3) or (mode == "bilinear" and dims != 4):
            return False
        if row["align_corners"] is not None and mode not in ("linear", "bilinear"):
            return False
        found = options(row)
        return not (row["recompute_scale_factor"] and "size" in found)

    def make(draw, row):
        x = draw.regime(row["regime"], row["shape"], row["dtype"])
        return Case({"input": x}, options(row), grad_of=("input",))

    suite.cover(factors, 90, make, valid)
    x = suite.draw.normal((2, 3, 4), F32)
    for wrong in [
        {},
        {"size": 2, "scale_factor": 2.0},
        {"size": [2, 2]},
        {"size": 0},
        {"size": 2, "mode": "bilinear"},
        {"size": 2, "align_corners": True},
    ]:
        suite.error({"input": x}, wrong)
    suite.error({"input": suite.draw.normal((2, 3), F32)}, {"size": 2})


def _shuffling(function, name, shapes, bad):
    factors = {"dtype": DTYPES, "shape": shapes, name: [1, 2, 3], "regime": [*REGIMES, "special"]}

    def valid(row):
        c, h, w = row["shape"][-3:]
        r = row[name]
        return c % (r * r) == 0 if name == "upscale_factor" else h % r == 0 and w % r == 0

    def make(draw, row):
        x = draw.regime(row["regime"], row["shape"], row["dtype"])
        return Case({"input": x}, {name: row[name]}, grad_of=("input",), second=row["regime"] != "special")

    def fill(suite):
        suite.cover(factors, 60, make, valid)
        for shape, factor in bad:
            suite.error({"input": suite.draw.normal(shape, F32)}, {name: factor})

    return Op(fill, function)


def _fill_bilinear(suite):
    factors = {
        "dtype": DTYPES,
        "lead": [(3,), (2, 3), (0,), (1,)],
        "sizes": [(2, 3, 4), (1, 1, 1), (4, 2, 1), (3, 5, 2)],
        "bias": [True, False],
        "regime": ["normal", "kink"],
    }

    def make(draw, row):
        in1, in2, out = row["sizes"]
        shapes = {"input1": (*row["lead"], in1), "input2": (*row["lead"], in2), "weight": (out, in1, in2)}
        if row["bias"]:
            shapes["bias"] = (out,)
        inputs = {name: draw.regime(row["regime"], shape, row["dtype"]) for name, shape in shapes.items()}
        return Case(inputs, grad_of=tuple(inputs))

    suite.cover(factors, 60, make)
    draw = suite.draw
    for shapes in [((2, 3), (2, 4), (5, 3, 3)), ((2, 3), (3, 4), (5, 3, 4)), ((2, 3), (2, 4), (5, 3, 4), (4,))]:
        suite.error({name: draw.normal(s, F32) for name, s in zip(("input1", "input2", "weight", "bias"), shapes)})


OPS = {
    "interpolate": Op(_fill_interpolate, _interpolate),
    "pixel_shuffle": _shuffling(
        F.pixel_shuffle,
        "upscale_factor",
        [(2, 4, 3, 2), (9, 2, 2), (1, 36, 1, 2)],
        [((1, 6, 2, 2), 2), ((4, 2), 2), ((1, 4, 2, 2), 0)],
    ),
    "pixel_unshuffle": _shuffling(
        F.pixel_unshuffle,
        "downscale_factor",
        [(2, 1, 6, 4), (2, 3, 6), (1, 2, 6, 12)],
        [((1, 2, 3, 4), 2), ((4, 2), 2), ((1, 2, 4, 4), 0)],
    ),
    "bilinear": Op(_fill_bilinear, F.bilinear),
}
