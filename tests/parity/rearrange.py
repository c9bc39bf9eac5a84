"""Cutting, repeating, padding and choosing elements; numbers where tensors may be."""

import torch
import torch.nn.functional as F

from suite import Case, Op
from values import DTYPES, F32, F64, INF

SHAPES = [(1,), (7,), (3, 5), (2, 3, 4), (2, 2, 3, 2), (0, 3)]
REGIMES = ["normal", "kink", "special"]


def moving(function, options, valid=lambda row: True, count=24, bad=(), shapes=SHAPES):
    """An op that only moves elements: options x shapes x dtypes; integers too."""
    factors = {"dtype": DTYPES, "shape": shapes, "regime": REGIMES, **options}

    def chosen(row):
        return {name: row[name] for name in options if row[name] is not None}

    def make(draw, row):
        x = draw.regime(row["regime"], row["shape"], row["dtype"])
        return Case({"input": x}, chosen(row), grad_of=("input",), second=row["regime"] != "special")

    def fill(suite):
        suite.cover(factors, count, make, valid)
        for row in [r for r in _rows(options) if valid({**r, "shape": shapes[2]})][:1]:
            for dtype in (torch.int64, torch.bool):
                suite.add(Case({"input": suite.draw.integers(shapes[2], 0, 2, dtype)}, chosen(row)))
        for shape, wrong in bad:
            suite.error({"input": suite.draw.normal(shape, F32)}, wrong)

    return Op(fill, function)


def _rows(options):
    """Every combination of the options."""
    rows = [{}]
    for name, values in options.items():
        rows = [{**row, name: value} for row in rows for value in values]
    return rows


def _fits(row, dim):
    return -len(row["shape"]) <= dim < len(row["shape"])


def _narrow_fits(row):
    if not _fits(row, row["dim"]):
        return False
    size, start = row["shape"][row["dim"]], row["start"]
    return (start + size if start < 0 else start) in range(size + 1 - row["length"])


def _dims_fit(row):
    dims = row["dims"] or []
    return all(_fits(row, d) for d in dims) and len({d % max(len(row["shape"]), 1) for d in dims}) == len(dims)


def _pad(input, pad, mode="constant", value=0.0):
    """PyTorch pads only the last dims of some ranks with a mode: give it what it takes."""
    if mode == "constant":
        return F.pad(input, pad, mode, value)
    extra = max(0, len(pad) // 2 + 1 - input.dim())
    padded = F.pad(input[(None,) * extra], pad, mode)
    return padded[(0,) * extra]


def _pad_fits(row):
    shape, pad, mode = row["shape"], row["pad"], row["mode"] or "constant"
    if len(pad) // 2 > len(shape):
        return False
    sizes = [shape[-1 - i] for i in range(len(pad) // 2)]
    if mode == "constant":
        return all(size + pad[2 * i] + pad[2 * i + 1] >= 0 for i, size in enumerate(sizes)) and (
            all(size + min(pad[2 * i], 0) + min(pad[2 * i + 1], 0) >= 0 for i, size in enumerate(sizes))
        )
    most = [max(pad[2 * i], pad[2 * i + 1]) for i in range(len(sizes))]
    room = all(m < s for m, s in zip(most, sizes))
    return min(pad) >= 0 and 0 not in shape and room and len(shape) < 4 and row["value"] is None


def masked(function, number):
    """Ops of a tensor and a mask."""
    factors = {
        "dtype": DTYPES,
        "shapes": [((7,), (7,)), ((3, 5), (3, 5)), ((3, 5), (5,)), ((2, 1), (2, 3)), ((0, 3), (0, 3))],
        "truth": ["some", "all", "none"],
        "regime": REGIMES,
    }

    def make(draw, row):
        shape, of_mask = row["shapes"]
        values = {"some": [0.0, 1.0], "all": [1.0], "none": [0.0]}[row["truth"]]
        x, mask = draw.regime(row["regime"], shape, row["dtype"]), draw.pick(of_mask, values).bool()
        options = {"value": 7.5} if number else {}
        return Case({"input": x, "mask": mask}, options, grad_of=("input",), second=row["regime"] != "special")

    def fill(suite):
        suite.cover(factors, 30, make)
        x, options = suite.draw.normal((2, 3), F32), {"value": 1.0} if number else {}
        suite.error({"input": x, "mask": torch.ones((2, 3))}, options)
        suite.error({"input": x, "mask": torch.ones((2, 2), dtype=torch.bool)}, options)

    return Op(fill, function)


def _fill_nonzero(suite):
    for dtype in (*DTYPES, torch.int64, torch.uint8, torch.bool):
        for shape in ((7,), (3, 5), (2, 3, 4), (0, 3), ()):
            suite.add(Case({"input": suite.draw.pick(shape, [0.0, 1.0, 0.0]).to(dtype)}))
    suite.add(Case({"input": torch.tensor([0.0, float("nan"), -0.0, 2.0])}))
    suite.add(Case({"input": (torch.arange(2_000) % 7 == 3)}))


def _fill_pow_of(suite):
    factors = {"dtype": DTYPES, "shape": SHAPES, "base": [2.0, 0.5, 1.0, 10.0], "regime": ["normal", "kink"]}

    def make(draw, row):
        x = draw.regime(row["regime"], row["shape"], row["dtype"], (0.0, 1.0))
        return Case({"input": x}, {"base": row["base"]}, grad_of=("input",))

    suite.cover(factors, 24, make)


OPS = {
    "narrow": moving(
        torch.narrow,
        {"dim": [0, 1, -1], "start": [0, 1, -2], "length": [0, 1, 2]},
        _narrow_fits,
        bad=[((3,), {"dim": 0, "start": 2, "length": 2}), ((3,), {"dim": 1, "start": 0, "length": 1})],
    ),
    "split": moving(
        lambda x, size, dim=0: torch.split(x, size, dim),
        {"size": [1, 2, 3], "dim": [None, 0, -1, 1]},
        lambda row: _fits(row, row["dim"] or 0),
        bad=[((3,), {"size": -1}), ((3,), {"size": [1, 1]})],
    ),
    "chunk": moving(
        lambda x, chunks, dim=0: torch.chunk(x, chunks, dim),
        {"chunks": [1, 2, 3], "dim": [None, 0, -1, 1]},
        lambda row: _fits(row, row["dim"] or 0),
        bad=[((3,), {"chunks": 0})],
    ),
    "repeat": moving(
        lambda x, repeats: x.repeat(repeats),
        {"repeats": [[2, 1, 1, 1], [1, 3, 2, 1, 2], [2, 2], [3], [0, 2]]},
        lambda row: len(row["repeats"]) >= len(row["shape"]),
        bad=[((2, 3), {"repeats": [2]})],
    ),
    "flip": moving(
        torch.flip,
        {"dims": [[0], [-1], [0, 1], [0, 2], [1, -2]]},
        _dims_fit,
        bad=[((3,), {"dims": [1]}), ((3, 2), {"dims": [0, 0]})],
    ),
    "roll": moving(
        lambda x, shifts, dims=(): torch.roll(x, shifts, dims),
        {"shifts": [[1], [-2], [9]], "dims": [None, [0], [-1], [1]]},
        _dims_fit,
        bad=[((3,), {"shifts": [1, 2], "dims": [0]})],
    ),
    "tril": moving(torch.tril, {"diagonal": [None, 0, 1, -2]}, lambda row: len(row["shape"]) > 1, bad=[((3,), {})]),
    "triu": moving(torch.triu, {"diagonal": [None, 0, 1, -2]}, lambda row: len(row["shape"]) > 1, bad=[((3,), {})]),
    "diagonal": moving(
        torch.diagonal,
        {"offset": [None, 1, -1, 5], "dim1": [None, 0, -1], "dim2": [None, 1, -2]},
        lambda row: len(row["shape"]) > 1
        and (row["dim1"] or 0) % len(row["shape"])
        != (1 if row["dim2"] is None else row["dim2"]) % len(row["shape"]),
        bad=[((3,), {})],
    ),
    "diag": moving(
        torch.diag,
        {"diagonal": [None, 0, 1, -2]},
        lambda row: len(row["shape"]) in (1, 2),
        bad=[((2, 2, 2), {})],
    ),
    "pad": moving(
        _pad,
        {
            "pad": [[1, 2], [0, 1], [2, 0, 1, 1], [-1, 1], [1, 1, 0, -1]],
            "mode": [None, "constant", "reflect", "replicate", "circular"],
            "value": [None, 1.5],
        },
        _pad_fits,
        count=40,
        bad=[((3,), {"pad": [1]}), ((3,), {"pad": [1, 1, 1, 1]}), ((1, 3), {"pad": [3, 0], "mode": "reflect"})],
    ),
    "masked_fill": masked(lambda x, mask, value: x.masked_fill(mask, value), True),
    "masked_select": masked(torch.masked_select, False),
    "nonzero": Op(_fill_nonzero, torch.nonzero),
    "pow_of": Op(_fill_pow_of, lambda x, base: torch.pow(base, x)),
}
