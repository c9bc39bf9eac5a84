"""Embeddings and bags of embeddings."""

import torch
import torch.nn.functional as F

from suite import Case, Op
from values import DTYPES, F32, INF

TABLES = [(1, 1), (4, 3), (7, 5), (10, 17)]
SHAPES = [(), (1,), (6,), (2, 3), (2, 2, 3), (0,), (2, 0)]


def given(**options):
    return {name: value for name, value in options.items() if value is not None}


def _embedding(input, weight, **options):
    """torch.nn.functional.embedding, which changes the weight of max_norm in place: here a copy."""
    return F.embedding(input.long(), weight.clone(), **options)


def _fill_embedding(suite):
    factors = {
        "dtype": DTYPES,
        "table": TABLES,
        "shape": SHAPES,
        "regime": ["normal", "wide", "special"],
        "index": [torch.int64, torch.int64, torch.uint8],
        "padding_idx": [None, 0, -1],
        "max_norm": [None, 1.0],
        "norm_type": [None, 1.0, 3.0, INF],
        "scale_grad_by_freq": [None, True],
    }

    def valid(row):
        return row["max_norm"] is not None or row["norm_type"] is None

    def make(draw, row):
        rows, _ = row["table"]
        weight = draw.regime(row["regime"], row["table"], row["dtype"])
        index = draw.integers(row["shape"], 0, rows, row["index"])
        options = given(**{name: row[name] for name in ("padding_idx", "max_norm", "norm_type", "scale_grad_by_freq")})
        return Case({"input": index, "weight": weight}, options, grad_of=("weight",), second=row["regime"] != "special")

    suite.cover(factors, 70, make, valid)
    weight, index = suite.draw.normal((4, 3), F32), torch.tensor([0, 3, 1])
    suite.error({"input": torch.tensor([0, 4]), "weight": weight})
    suite.error({"input": torch.tensor([-1, 0]), "weight": weight})
    suite.error({"input": torch.tensor([0.0, 1.0]), "weight": weight})
    suite.error({"input": index, "weight": weight[0]})
    suite.error({"input": index, "weight": weight}, {"padding_idx": 4})
    suite.error({"input": index, "weight": weight}, {"padding_idx": -5})


def _bag(input, weight, per_sample_weights=None, offsets=None, max_norm=None, **options):
    weight = weight.clone() if max_norm is not None else weight
    offsets = torch.tensor(offsets) if offsets is not None else None
    more = given(max_norm=max_norm)
    return F.embedding_bag(input, weight, offsets, per_sample_weights=per_sample_weights, **more, **options)


def bag_reference(
    input,
    weight,
    per_sample_weights=None,
    offsets=None,
    max_norm=None,
    mode="mean",
    include_last_offset=False,
    padding_idx=None,
    scale_grad_by_freq=False,
):
    """Bag by bag, with indexing and sums."""
    if max_norm is not None:
        used = torch.zeros(len(weight), dtype=torch.bool)
        used[input.reshape(-1)] = True
        norms = weight.detach().norm(dim=1, keepdim=True)
        weight = torch.where(used[:, None] & (norms > max_norm), max_norm / (norms + 1e-7), 1.0) * weight
        weight = _passing(weight, norms, used, max_norm)
    flat = input.reshape(-1)
    if input.dim() == 2:
        bounds = [i * input.shape[1] for i in range(input.shape[0] + 1)]
    else:
        bounds = offsets if include_last_offset else [*offsets, len(flat)]
    padding = None if padding_idx is None else padding_idx % len(weight)
    factors = None if per_sample_weights is None else per_sample_weights.reshape(-1)
    bags = []
    for begin, end in zip(bounds, bounds[1:]):
        places = [i for i in range(begin, end) if flat[i].item() != padding]
        rows = weight[flat[places]]
        if scale_grad_by_freq and places:
            count = torch.bincount(flat, minlength=len(weight)).to(weight.dtype)
            part = 1 / count[flat[places]][:, None]
            rows = rows * part + (rows * (1 - part)).detach()
        if factors is not None:
            rows = rows * factors[places][:, None]
        if not places:
            bags.append(weight.new_zeros(weight.shape[1]) + 0 * weight.sum())
        elif mode == "max":
            bags.append(rows.max(0).values)
        else:
            bags.append(rows.sum(0) if mode == "sum" else rows.sum(0) / len(places))
    return torch.stack(bags) if bags else weight.new_zeros((0, weight.shape[1])) + 0 * weight.sum()


def _passing(scaled, norms, used, max_norm):
    """The renormalized weight with the gradient of the identity: torch renormalizes outside of the graph."""
    factor = torch.where(used[:, None] & (norms > max_norm), max_norm / (norms + 1e-7), 1.0)
    return scaled / factor + (scaled - scaled / factor).detach()


OFFSETS = [[0, 2, 5], [0, 0, 3], [0, 6, 6], [0], [0, 1, 2, 3, 4, 5]]  # into six indices


def _fill_bag(suite):
    factors = {
        "dtype": DTYPES,
        "table": TABLES,
        "bags": [(2, 3), (4, 1), (0, 3), *OFFSETS],
        "last": [None, True],
        "regime": ["normal", "wide", "kink"],
        "mode": [None, "sum", "mean", "max"],
        "padding_idx": [None, 0, -1],
        "max_norm": [None, None, 1.0],
        "scale": [None, True],
        "factors": [False, True],
        "grad": ["all", "weight"],
    }

    def valid(row):
        one_dim = isinstance(row["bags"], list)
        return (
            (row["mode"] == "sum" or not row["factors"])
            and (one_dim or row["last"] is None)
            and not (row["mode"] == "max" and row["scale"])
        )

    def make(draw, row):
        one_dim, dtype = isinstance(row["bags"], list), row["dtype"]
        shape = (6,) if one_dim else row["bags"]
        inputs = {"input": draw.integers(shape, 0, row["table"][0])}
        inputs["weight"] = draw.regime(row["regime"], row["table"], dtype)
        tensors = {"per_sample_weights": draw.normal(shape, dtype)} if row["factors"] else {}
        options = given(mode=row["mode"], padding_idx=row["padding_idx"], max_norm=row["max_norm"])
        options |= given(scale_grad_by_freq=row["scale"])
        if one_dim:
            options["offsets"] = [*row["bags"], 6] if row["last"] else row["bags"]
            options |= given(include_last_offset=row["last"])
        grad_of = ("weight", *tensors) if row["grad"] == "all" else ("weight",)
        return Case(inputs, options, tensors, grad_of)

    suite.cover(factors, 80, make, valid)
    weight, index = suite.draw.normal((4, 3), F32), torch.tensor([0, 3, 1])
    inputs = {"input": index, "weight": weight}
    suite.error(inputs)
    suite.error(inputs, {"offsets": [1, 2]})
    suite.error(inputs, {"offsets": [0, 4]})
    suite.error({**inputs, "input": index[None]}, {"offsets": [0]})
    suite.error({**inputs, "input": torch.tensor([[4]])})
    suite.error({**inputs, "input": index[None]}, {"mode": "max", "scale_grad_by_freq": True})
    suite.error({**inputs, "input": index[None]}, {"mode": "mean"}, {"per_sample_weights": torch.ones((1, 3))})
    suite.error({**inputs, "input": index[None]}, {"mode": "sum"}, {"per_sample_weights": torch.ones(3)})
    suite.error({**inputs, "input": index[None]}, {"padding_idx": 4})


OPS = {
    "embedding": Op(_fill_embedding, _embedding),
    "embedding_bag": Op(_fill_bag, _bag, bag_reference, torch_twice=False),
}
