#!/usr/bin/env python3
"""Generates the parity files (see README.md): generate.py [--out DIR] [--seed N] [--only OP ...]."""

import argparse
import json
import pathlib
import time

import torch

import activations
import activations_more
import arithmetic
import convolutions
import elementary
import images
import layers_attention
import layers_embedding
import layers_recurrent
import layers_transformer
import losses_classes
import losses_extra
import losses_margin
import losses_multilabel
import losses_pointwise
import losses_regression
import losses_sequence
import normalization
import pooling
import rearrange
import reductions
import sorting
import spread
import storage
from check import COLUMNS, check
from suite import Suite

LIMIT = 20_000_000  # bytes, all files together
TELLING = 205  # cases of a loss with a nonzero gradient
HERE = pathlib.Path(__file__).parent
MODULES = [
    activations,
    activations_more,
    arithmetic,
    convolutions,
    elementary,
    reductions,
    spread,
    rearrange,
    layers_embedding,
    layers_recurrent,
    layers_attention,
    layers_transformer,
    sorting,
    pooling,
    normalization,
    images,
    losses_pointwise,
    losses_classes,
    losses_regression,
    losses_margin,
    losses_multilabel,
    losses_sequence,
    losses_extra,
]
LOSSES = [name for module in MODULES if module.__name__.startswith("losses") for name in module.OPS]
OPS = {name: op for module in MODULES for name, op in module.OPS.items()}


def generate(name, seed, folder):
    """Writes and checks the file of one op. Returns (path, counts, number of rejected draws)."""
    suite = Suite(name, OPS[name], seed)
    suite.op.fill(suite)
    if name in LOSSES:
        suite.fill_up(TELLING)
        if suite.uncovered:
            raise SystemExit(f"{name}: no case of {', '.join(suite.uncovered)}")
    path = folder / f"{name}.safetensors"
    metadata = {
        "format": "ebb-parity-1",
        "source": f"PyTorch {torch.__version__}",
        "cases": json.dumps(suite.cases, separators=(",", ":"), allow_nan=False),
    }
    storage.save(path, suite.tensors, metadata)
    return path, check(path)[name], suite.rejected


def table(counts):
    """Returns a Markdown table with one row per op."""
    total = {column: sum(c[column] for c in counts.values()) for column in COLUMNS}
    lines = ["| op | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, count in {**counts, "**all**": total}.items():
        lines.append(f"| {name} | " + " | ".join(str(count[column]) for column in COLUMNS) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "data")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=sorted(OPS), metavar="OP", default=list(OPS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    counts, size, begin = {}, 0, time.time()
    for name in arguments.only:
        path, counts[name], rejected = generate(name, arguments.seed, arguments.out)
        size += path.stat().st_size
        cases, written = counts[name]["cases"], path.stat().st_size
        print(f"{name}: {cases} cases, {rejected} draws rejected, {written} bytes", flush=True)
    print(table(counts))
    print(f"{size} bytes in {len(counts)} files, PyTorch {torch.__version__}, {time.time() - begin:.0f} s")
    if size > LIMIT:
        raise SystemExit(f"the files take more than {LIMIT} bytes")


if __name__ == "__main__":
    main()
