"""RNN, GRU and LSTM, and their cells. Parameters are tensor options with torch's names."""

import torch

from layers_embedding import given
from suite import Case, Op
from values import DTYPES, F32, F64

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
MODES = ("nonlinearity", "num_layers", "bias", "batch_first", "bidirectional", "proj_size")
# (steps, sequences, input_size, hidden_size); None: one sequence without a batch.
SIZES = [(3, 2, 3, 4), (1, 3, 2, 2), (4, 1, 1, 3), (2, None, 3, 2), (5, 3, 2, 1)]
LENGTHS = {(3, 2): [1, 3], (1, 3): [1, 1, 1], (4, 1): [2], (5, 3): [3, 5, 1]}


def _layer(kind):
    def run(input, *states, input_size, hidden_size, lengths=None, **rest):
        parameters = {name: value for name, value in rest.items() if torch.is_tensor(value)}
        options = {name: value for name, value in rest.items() if name not in parameters}
        module = getattr(torch.nn, kind)(input_size, hidden_size, **options).to(input.dtype)
        hx = None if not states else states if kind == "LSTM" else states[0]
        batch_first = options.get("batch_first", False)
        if lengths is not None:
            pack = torch.nn.utils.rnn.pack_padded_sequence
            input = pack(input, torch.tensor(lengths), batch_first, enforce_sorted=False)
        with torch.backends.mkldnn.flags(enabled=False):  # its LSTM has no second order
            output, last = torch.func.functional_call(module, parameters, (input, hx))
        if lengths is not None:
            output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first)
        return (output, *last) if kind == "LSTM" else (output, last)

    return run


def _parameters(draw, kind, inputs, hidden, row, dtype):
    directions, proj = 2 if row["bidirectional"] else 1, row.get("proj_size") or 0
    rows, out = GATES[kind] * hidden, proj or hidden
    shapes = {}
    for k in range(row["num_layers"] or 1):
        for suffix in [f"_l{k}", f"_l{k}_reverse"][:directions]:
            shapes["weight_ih" + suffix] = (rows, inputs if k == 0 else out * directions)
            shapes["weight_hh" + suffix] = (rows, out)
            if row["bias"] is not False:
                shapes["bias_ih" + suffix] = shapes["bias_hh" + suffix] = (rows,)
            if proj:
                shapes["weight_hr" + suffix] = (proj, hidden)
    return {name: draw.normal(shape, dtype, 0.6) for name, shape in shapes.items()}


def _fill_layer(kind):
    def fill(suite):
        factors = {
            "dtype": DTYPES,
            "sizes": SIZES,
            "regime": ["normal", "normal", "tiny", "wide"],
            "num_layers": [None, 2],
            "bias": [None, True, False],
            "batch_first": [None, True],
            "bidirectional": [None, True],
            "states": [True, False],
            "lengths": [False, True],
            "grad": ["all", "some", "input"],
        }
        if kind == "RNN":
            factors["nonlinearity"] = [None, "tanh", "relu"]
        if kind == "LSTM":
            factors["proj_size"] = [None, None, 1]

        def valid(row):
            return (row["sizes"][1] is not None or not row["lengths"]) and (row["sizes"][3] > 1 or not row.get("proj_size"))

        def make(draw, row):
            (steps, sequences, size, hidden), dtype = row["sizes"], row["dtype"]
            shape = (steps, size) if sequences is None else (steps, sequences, size)
            x = draw.regime(row["regime"], shape, dtype)
            if row["batch_first"] and sequences is not None:
                x = x.transpose(0, 1).contiguous()
            inputs = {"input": x}
            count = (row["num_layers"] or 1) * (2 if row["bidirectional"] else 1)
            batch = () if sequences is None else (sequences,)
            if row["states"]:
                inputs["h_0"] = draw.normal((count, *batch, row.get("proj_size") or hidden), dtype)
                if kind == "LSTM":
                    inputs["c_0"] = draw.normal((count, *batch, hidden), dtype)
            parameters = _parameters(draw, kind, size, hidden, row, dtype)
            options = {"input_size": size, "hidden_size": hidden}
            options |= given(**{name: row.get(name) for name in MODES})
            if row["lengths"]:
                options["lengths"] = LENGTHS[steps, sequences]
            names = [*inputs, *parameters]
            grad_of = {"all": names, "some": draw.subset(names), "input": ["input"]}[row["grad"]]
            return Case(inputs, options, parameters, tuple(grad_of))

        suite.cover(factors, 64, make, valid)
        plain = {name: None for name in factors}
        plain |= {"dtype": F32, "sizes": SIZES[0], "regime": "normal", "states": True, "lengths": False, "grad": "input"}

        def error(options=(), **inputs):
            case = make(suite.draw, plain)
            suite.error({**case.inputs, **inputs}, {**case.options, **dict(options)}, case.tensor_options)

        error(input=suite.draw.normal((3, 2, 4), F32))
        error(input=suite.draw.normal((3,), F32))
        error(input=suite.draw.normal((3, 2, 3), F64))
        error(h_0=suite.draw.normal((1, 3, 4), F32))
        error(h_0=suite.draw.normal((2, 2, 4), F32))
        error(h_0=suite.draw.normal((1, 4), F32))
        error({"lengths": [4, 1]})
        error({"lengths": [0, 1]})
        error({"lengths": [3]})

    return fill


def _cell(kind):
    def run(input, *states, input_size, hidden_size, bias=True, **rest):
        parameters = {name: value for name, value in rest.items() if torch.is_tensor(value)}
        options = {name: value for name, value in rest.items() if name not in parameters}
        module = getattr(torch.nn, kind + "Cell")(input_size, hidden_size, bias, **options).to(input.dtype)
        hx = None if not states else states if kind == "LSTM" else states[0]
        found = torch.func.functional_call(module, parameters, (input, hx))
        return tuple(found) if kind == "LSTM" else found

    return run


def _fill_cell(kind):
    def fill(suite):
        factors = {
            "dtype": DTYPES,
            "sizes": [(2, 3, 4), (1, 1, 1), (None, 3, 2), (5, 2, 3), (0, 2, 3)],
            "regime": ["normal", "tiny", "wide"],
            "bias": [None, True, False],
            "states": [True, False],
            "grad": ["all", "some", "input"],
        }
        if kind == "RNN":
            factors["nonlinearity"] = [None, "tanh", "relu"]

        def make(draw, row):
            (sequences, size, hidden), dtype = row["sizes"], row["dtype"]
            batch = () if sequences is None else (sequences,)
            inputs = {"input": draw.regime(row["regime"], (*batch, size), dtype)}
            if row["states"]:
                for name in ("h", "c") if kind == "LSTM" else ("h",):
                    inputs[name] = draw.normal((*batch, hidden), dtype)
            rows = GATES[kind] * hidden
            shapes = {"weight_ih": (rows, size), "weight_hh": (rows, hidden)}
            if row["bias"] is not False:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            parameters = {name: draw.normal(shape, dtype, 0.6) for name, shape in shapes.items()}
            options = {"input_size": size, "hidden_size": hidden}
            options |= given(bias=row["bias"], nonlinearity=row.get("nonlinearity"))
            names = [*inputs, *parameters]
            grad_of = {"all": names, "some": draw.subset(names), "input": ["input"]}[row["grad"]]
            return Case(inputs, options, parameters, tuple(grad_of))

        suite.cover(factors, 60, make)
        plain = {name: None for name in factors}
        plain |= {"dtype": F32, "sizes": (2, 3, 4), "regime": "normal", "states": True, "grad": "input"}
        for change in ({"input": (2, 4)}, {"input": (2, 2, 3)}, {"h": (3, 4)}, {"h": (2, 3)}):
            case = make(suite.draw, plain)
            (name, shape), *_ = change.items()
            suite.error({**case.inputs, name: suite.draw.normal(shape, F32)}, case.options, case.tensor_options)

    return fill


OPS = {kind.lower(): Op(_fill_layer(kind), _layer(kind)) for kind in GATES}
OPS |= {kind.lower() + "_cell": Op(_fill_cell(kind), _cell(kind)) for kind in GATES}
