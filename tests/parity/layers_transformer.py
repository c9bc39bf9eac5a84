"""TransformerEncoderLayer, and TransformerEncoder with and without a norm."""

import torch

from layers_attention import _mask
from layers_embedding import given
from suite import Case, Op
from values import DTYPES, F32

MODES = ("activation", "norm_first", "batch_first", "bias")


def _encoder(src, src_mask=None, src_key_padding_mask=None, num_layers=None, norm=False, **rest):
    parameters = {name: value for name, value in rest.items() if torch.is_tensor(value)}
    options = {name: value for name, value in rest.items() if name not in parameters}
    module = torch.nn.TransformerEncoderLayer(**options, dropout=0.0)
    if num_layers is not None:
        last = torch.nn.LayerNorm(options["d_model"]) if norm else None
        module = torch.nn.TransformerEncoder(module, num_layers, last, enable_nested_tensor=False)
    masks = {"src_key_padding_mask": src_key_padding_mask}
    masks["src_mask" if num_layers is None else "mask"] = src_mask
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return torch.func.functional_call(module.to(src.dtype), parameters, (src,), masks)


def _shapes(width, hidden, bias):
    shapes = {"self_attn.in_proj_weight": (3 * width, width), "self_attn.out_proj.weight": (width, width)}
    shapes |= {"linear1.weight": (hidden, width), "linear2.weight": (width, hidden)}
    shapes |= {"norm1.weight": (width,), "norm2.weight": (width,)}
    if bias is not False:
        shapes |= {"self_attn.in_proj_bias": (3 * width,), "self_attn.out_proj.bias": (width,)}
        shapes |= {"linear1.bias": (hidden,), "linear2.bias": (width,), "norm1.bias": (width,), "norm2.bias": (width,)}
    return shapes


def _fill(suite):
    factors = {
        "dtype": DTYPES,
        "sizes": [(4, 2, 3, 3, 2), (3, 1, 4, 1, 3), (4, 4, 2, 3, None)],  # d_model, nhead, dim_feedforward, L, N
        "regime": ["normal", "normal", "wide"],
        "activation": [None, "relu", "gelu"],
        "norm_first": [None, True],
        "batch_first": [None, True],
        "bias": [None, False],
        "padding": [None, True],
        "mask": [None, "bool", "float"],
        "layers": [None, None, "encoder", "norm"],
        "grad": ["all", "some", "input"],
    }

    def valid(row):
        return row["mask"] != "float" or row["padding"] is None

    def make(draw, row):
        (width, heads, hidden, steps, batch), dtype = row["sizes"], row["dtype"]
        shape = (steps, width) if batch is None else (batch, steps, width) if row["batch_first"] else (steps, batch, width)
        options = {"d_model": width, "nhead": heads, "dim_feedforward": hidden} | given(**{m: row[m] for m in MODES})
        shapes = _shapes(width, hidden, row["bias"])
        if row["layers"]:
            options["num_layers"] = 2
            shapes = {f"layers.{i}.{name}": shape for i in range(2) for name, shape in shapes.items()}
        if row["layers"] == "norm":
            options["norm"] = True
            shapes |= {"norm.weight": (width,), "norm.bias": (width,)}
        parameters = {name: draw.normal(size, dtype, 0.6) for name, size in shapes.items()}
        tensors = dict(parameters)
        if row["padding"]:
            out = draw.pick((batch or 1, steps), [0.0, 1.0, 0.0]).bool()
            out[:, 0] = False
            tensors["src_key_padding_mask"] = out if batch else out[0]
        if row["mask"]:
            allowed = _mask(draw, row["mask"], (steps, steps), dtype)
            tensors["src_mask"] = ~allowed if allowed.dtype == torch.bool else allowed
        names = ["src", *parameters]
        grad_of = {"all": names, "some": draw.subset(names), "input": ["src"]}[row["grad"]]
        return Case({"src": draw.regime(row["regime"], shape, dtype)}, options, tensors, tuple(grad_of))

    suite.cover(factors, 84, make, valid)
    plain = {name: None for name in factors} | {"dtype": F32, "sizes": (4, 2, 3, 3, 2), "regime": "normal", "grad": "input"}
    for src in (suite.draw.normal((3, 2, 5), F32), suite.draw.normal((4,), F32)):
        case = make(suite.draw, plain)
        suite.error({"src": src}, case.options, case.tensor_options)
    case = make(suite.draw, plain)
    suite.error(case.inputs, case.options, {**case.tensor_options, "src_mask": torch.ones((3, 2), dtype=torch.bool)})


OPS = {"transformer_encoder": Op(_fill, _encoder)}
