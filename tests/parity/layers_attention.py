"""Attention: the function, MultiheadAttention with all of its options."""

import torch
import torch.nn.functional as F

from layers_embedding import given
from suite import Case, Op
from values import DTYPES, F32, F64

NEVER = float("-inf")


def _attention(query, key, value, attn_mask=None, **options):
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return F.scaled_dot_product_attention(query, key, value, attn_mask, **options)


# query, key, value
SHAPES = [
    ((2, 3, 4), (2, 5, 4), (2, 5, 3)),
    ((3, 2), (3, 2), (3, 2)),
    ((1, 1, 1), (1, 1, 1), (1, 1, 1)),
    ((2, 2, 3, 2), (2, 2, 4, 2), (2, 2, 4, 2)),
    ((2, 1, 3, 2), (1, 2, 4, 2), (2, 2, 4, 1)),
    ((2, 0, 3), (2, 4, 3), (2, 4, 2)),
    ((0, 2, 3), (0, 4, 3), (0, 4, 2)),
]


def _mask(draw, kind, shape, dtype):
    """Draws a mask: some rows without anything that takes part, if `kind` says so."""
    allowed = draw.pick(shape, [0.0, 1.0, 1.0]).bool()
    if 0 in shape:
        kind = kind.split()[0]
    if kind.endswith("dead"):
        allowed[..., 0, :] = False
    elif 0 not in shape:
        allowed[..., 0] = True
    if kind.startswith("bool"):
        return allowed
    return torch.where(allowed, draw.normal(shape, dtype), torch.tensor(NEVER, dtype=dtype))


def _fill_attention(suite):
    factors = {
        "dtype": DTYPES,
        "shapes": SHAPES,
        "regime": ["normal", "wide", "tiny"],
        "mask": [None, "causal", "bool", "bool dead", "float", "float dead", "float grad"],
        "of": ["all", "rows"],
        "scale": [None, 0.3, 2.0],
        "grad": ["all", "some"],
    }

    def valid(row):
        return row["mask"] not in (None, "causal") or row["of"] == "all"

    def make(draw, row):
        query, key, value = row["shapes"]
        dtype, mask = row["dtype"], row["mask"]
        inputs = {"query": draw.regime(row["regime"], query, dtype), "key": draw.normal(key, dtype)}
        inputs["value"] = draw.normal(value, dtype)
        options, tensors = given(scale=row["scale"]), {}
        if mask == "causal":
            options["is_causal"] = True
        elif mask is not None:
            shape = (query[-2], key[-2])
            if row["of"] == "all":
                lead = torch.broadcast_shapes(query[:-2], key[:-2], value[:-2])
                shape = (*lead, *shape)
            if mask == "float grad":
                tensors["attn_mask"] = draw.normal(shape, dtype)
            else:
                tensors["attn_mask"] = _mask(draw, mask, shape, dtype)
        names = [*inputs, *(tensors if mask == "float grad" else ())]
        grad_of = names if row["grad"] == "all" else draw.subset(names)
        return Case(inputs, options, tensors, tuple(grad_of))

    suite.cover(factors, 84, make, valid)
    x = suite.draw.normal((2, 3, 4), F32)
    inputs = {"query": x, "key": x, "value": x}
    mask = {"attn_mask": torch.ones((3, 3), dtype=torch.bool)}
    suite.error({**inputs, "key": x[:, :, :3]})
    suite.error({**inputs, "value": x[:, :2]})
    suite.error({**inputs, "query": x.double()})
    suite.error({**inputs, "query": x[0, 0]})
    suite.error(inputs, {"is_causal": True}, mask)
    suite.error(inputs, {}, {"attn_mask": torch.ones((3, 2), dtype=torch.bool)})
    suite.error(inputs, {}, {"attn_mask": torch.ones((3, 3), dtype=torch.int64)})
    suite.error(inputs, {"dropout_p": 1.5})


def _multihead(query, key=None, value=None, key_padding_mask=None, attn_mask=None, **rest):
    """Without key and value: self-attention."""
    calls = ("need_weights", "average_attn_weights")
    call = {name: rest.pop(name) for name in calls if name in rest}
    parameters = {name: value for name, value in rest.items() if torch.is_tensor(value)}
    options = {name: value for name, value in rest.items() if name not in parameters}
    module = torch.nn.MultiheadAttention(**options).to(query.dtype)
    key = query if key is None else key
    value = key if value is None else value
    arguments = {"key_padding_mask": key_padding_mask, "attn_mask": attn_mask, **call}
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        out, weights = torch.func.functional_call(module, parameters, (query, key, value), arguments)
    return out if weights is None else (out, weights)


# embed_dim, num_heads, L, S (None: self-attention), N (None: one sequence)
SIZES = [(4, 2, 3, 4, 2), (2, 1, 1, 1, 1), (4, 4, 3, None, 2), (6, 3, 2, None, None), (2, 2, 4, 3, None), (4, 1, 2, 3, 3)]


def _fill_multihead(suite):
    factors = {
        "dtype": DTYPES,
        "sizes": SIZES,
        "regime": ["normal", "normal", "wide", "tiny"],
        "bias": [None, False],
        "batch_first": [None, True],
        "dims": [None, "kdim", "vdim", "both"],
        "more": [None, None, "add_bias_kv", "add_zero_attn"],
        "padding": [None, None, "bool", "float", "dead"],
        "mask": [None, None, "bool", "float", "bool 3", "float 3"],
        "weights": [None, "each", "none", "none"],
        "same": ["key", "value"],
        "grad": ["all", "some", "inputs"],
    }

    def valid(row):
        crossed = row["sizes"][3] is not None
        return (
            (crossed or row["dims"] is None)
            and (row["dims"] is None or row["same"] == "value")
            and (row["padding"] != "dead" or (row["weights"] == "none" and row["more"] is None))
            # PyTorch deprecates masks of two dtypes
            and (None in (row["padding"], row["mask"]) or (row["padding"] == "float") == row["mask"].startswith("float"))
        )

    def make(draw, row):
        (embed, heads, rows, columns, batch), dtype = row["sizes"], row["dtype"]
        kdim = embed + 1 if row["dims"] in ("kdim", "both") else embed
        vdim = embed + 2 if row["dims"] in ("vdim", "both") else embed

        def shape(steps, features):
            if batch is None:
                return steps, features
            return (batch, steps, features) if row["batch_first"] else (steps, batch, features)

        inputs = {"query": draw.regime(row["regime"], shape(rows, embed), dtype)}
        if columns is not None:
            inputs["key"] = draw.normal(shape(columns, kdim), dtype)
            if row["same"] == "value":
                inputs["value"] = draw.normal(shape(columns, vdim), dtype)
        columns = columns or rows
        options = {"embed_dim": embed, "num_heads": heads} | given(bias=row["bias"], batch_first=row["batch_first"])
        options |= given(kdim=None if kdim == embed else kdim, vdim=None if vdim == embed else vdim)
        if row["more"]:
            options[row["more"]] = True
        if row["weights"]:
            options |= {"need_weights": False} if row["weights"] == "none" else {"average_attn_weights": False}
        if kdim == embed == vdim:
            shapes = {"in_proj_weight": (3 * embed, embed)}
        else:
            shapes = {"q_proj_weight": (embed, embed), "k_proj_weight": (embed, kdim), "v_proj_weight": (embed, vdim)}
        shapes["out_proj.weight"] = (embed, embed)
        if row["bias"] is not False:
            shapes |= {"in_proj_bias": (3 * embed,), "out_proj.bias": (embed,)}
        if row["more"] == "add_bias_kv":
            shapes |= {"bias_k": (1, 1, embed), "bias_v": (1, 1, embed)}
        parameters = {name: draw.normal(size, dtype, 0.6) for name, size in shapes.items()}
        tensors = dict(parameters)
        if row["padding"]:
            out = draw.pick((batch or 1, columns), [0.0, 1.0, 0.0]).bool()
            out[:, 0] = False
            if row["padding"] == "dead":
                out[0] = True
            out = out if batch else out[0]
            tensors["key_padding_mask"] = out if row["padding"] != "float" else draw.normal(out.shape, dtype)
        if row["mask"]:
            of = (rows, columns) if not row["mask"].endswith("3") else ((batch or 1) * heads, rows, columns)
            allowed = _mask(draw, row["mask"].split()[0], of, dtype)
            tensors["attn_mask"] = ~allowed if allowed.dtype == torch.bool else allowed
        names = [*inputs, *parameters]
        grad_of = {"all": names, "some": draw.subset(names), "inputs": [*inputs]}[row["grad"]]
        return Case(inputs, options, tensors, tuple(grad_of))

    suite.cover(factors, 90, make, valid)
    plain = {name: None for name in factors}
    plain |= {"dtype": F32, "sizes": SIZES[0], "regime": "normal", "same": "value", "grad": "inputs"}

    def error(options=(), tensors=(), **inputs):
        case = make(suite.draw, plain)
        suite.error({**case.inputs, **inputs}, {**case.options, **dict(options)}, {**case.tensor_options, **dict(tensors)})

    normal = suite.draw.normal
    error(query=normal((3, 2, 5), F32))
    error(query=normal((3, 3, 4), F32))
    error(key=normal((5, 2, 4), F32))
    error(key=normal((4, 4), F32))
    error(query=normal((3, 2, 4), F64))
    error(tensors={"attn_mask": torch.ones((3, 3), dtype=torch.bool)})
    error(tensors={"attn_mask": torch.ones((3, 4), dtype=torch.int64)})
    error(tensors={"key_padding_mask": torch.ones((4, 2), dtype=torch.bool)})


OPS = {
    "scaled_dot_product_attention": Op(_fill_attention, _attention),
    "multihead_attention": Op(_fill_multihead, _multihead),
}
