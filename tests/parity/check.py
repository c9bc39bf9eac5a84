"""Checks the format of a parity file and counts its cases."""

import json
from collections import Counter

import torch
from safetensors import safe_open

KEYS = {"id", "op", "options", "inputs", "tensor_options", "grad_of", "second"}
OPTIONAL = {"error", "tolerance", "deviation", "note"}
COLUMNS = ["cases", "f32", "f64", "second", "error", "deviation", "widened", "vacuous"]


def _require(condition, message):
    if not condition:
        raise ValueError(message)


def _expected_names(case, names):
    """Returns the names of the tensors that the case must have."""
    found = set(case["inputs"]) | set(case["tensor_options"])
    if case.get("error"):
        return found
    outputs = sorted(n for n in names if n == "output" or n.startswith("output/"))
    several = outputs != ["output"]
    _require(outputs and (not several or outputs == [f"output/{i}" for i in range(len(outputs))]), "outputs")
    found |= set(outputs)
    if case["grad_of"]:
        found |= {n.replace("output", "upstream", 1) for n in outputs}
    found |= {f"grad/{n}" for n in case["grad_of"]}
    if case["second"]:
        found |= {f"{kind}/{n}" for n in case["grad_of"] for kind in ("direction", "grad2")}
    return found


def _check_case(case, tensors):
    _require(KEYS <= set(case) <= KEYS | OPTIONAL, f"keys {sorted(case)}")
    _require(set(case["grad_of"]) <= set(case["inputs"]) | set(case["tensor_options"]), "grad_of")
    _require(set(tensors) == _expected_names(case, tensors), f"tensors {sorted(tensors)}")
    for name, tensor in tensors.items():
        kind, _, of = name.partition("/")
        twin = {"upstream": "output" + (f"/{of}" if of else ""), "grad": of, "direction": of, "grad2": of}.get(kind)
        if twin is not None:
            _require(tensor.shape == tensors[twin].shape, f"shape of {name}")
            # The upstream gradient of indices is not used.
            _require(tensor.dtype == tensors[twin].dtype or not tensors[twin].is_floating_point(), f"dtype of {name}")
        if kind in ("upstream", "direction", "grad2"):
            _require(torch.isfinite(tensor).all(), f"{name} is not finite")
    if not case.get("error"):
        dtypes = {t.dtype for t in tensors.values() if t.is_floating_point()}
        _require(len(dtypes) <= 1, f"dtypes {dtypes}")


def _count(case, tensors):
    dtypes = {t.dtype for t in tensors.values()}
    grads = [t for n, t in tensors.items() if n.startswith("grad/")]
    vacuous = not case.get("error") and not any((t != 0).any() for t in grads)
    return {
        "cases": 1,
        "f32": torch.float32 in dtypes,
        "f64": torch.float64 in dtypes and torch.float32 not in dtypes,
        "second": case["second"],
        "error": case.get("error", False),
        "deviation": "deviation" in case,
        "widened": "tolerance" in case,
        "vacuous": vacuous,
    }


def check(path):
    """Returns {op: Counter of COLUMNS}. Raises ValueError with the id of an invalid case."""
    counts = {}
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        _require(metadata["format"] == "ebb-parity-1", "format")
        _require(metadata["source"].startswith("PyTorch "), "source")
        cases = json.loads(metadata["cases"], parse_constant=lambda c: _require(False, f"{c} in JSON"))
        groups = {}
        for key in file.keys():
            head, number, name = key.split("/", 2)
            groups.setdefault(f"{head}/{number}", {})[name] = file.get_tensor(key)
    _require(len({case["id"] for case in cases}) == len(cases), "ids are not unique")
    _require(set(groups) == {case["id"] for case in cases}, "tensors and cases do not match")
    for case in cases:
        tensors = groups[case["id"]]
        try:
            _check_case(case, tensors)
        except ValueError as problem:
            raise ValueError(f"{path}: {case['id']}: {problem}") from None
        counts.setdefault(case["op"], Counter()).update({k: int(v) for k, v in _count(case, tensors).items()})
    return counts
