"""Writes lbfgs.txt: Rosenbrock's function of five numbers under PyTorch's L-BFGS.

    python tests/parity/lbfgs.py

f(z) = sum of 100 (z_(i+1) - z_i^2)^2 + (1 - z_i)^2, from (0.5, 0.8, 1.2, 0.3, -0.1), in tensors of 3 and 2 numbers. A line:
options; then, after each of 8 steps, the evaluations so far and the five numbers.
"""
import pathlib

import torch

CASES = [
    dict(lr=0.01),
    dict(lr=0.5, max_iter=3, history_size=2),
    dict(line_search_fn="strong_wolfe"),
    dict(line_search_fn="strong_wolfe", max_iter=4),
    dict(line_search_fn="strong_wolfe", history_size=2, max_iter=6, max_eval=9),
    dict(line_search_fn="strong_wolfe", maximize=True, tolerance_change=1e-4, tolerance_grad=1e-3),
]


def run(options):
    x = torch.nn.Parameter(torch.tensor([0.5, 0.8, 1.2], dtype=torch.float64))
    y = torch.nn.Parameter(torch.tensor([0.3, -0.1], dtype=torch.float64))
    optimizer = torch.optim.LBFGS([x, y], **options)
    sign = -1 if options.get("maximize") else 1

    def closure():
        optimizer.zero_grad()
        z = torch.cat([x, y])
        loss = sign * (100 * (z[1:] - z[:-1] ** 2) ** 2 + (1 - z[:-1]) ** 2).sum()
        loss.backward()
        return loss

    values = []
    for _ in range(8):
        optimizer.step(closure)
        values.append(float(optimizer.state[x]["func_evals"]))
        values += torch.cat([x, y]).tolist()
    return values


def main():
    path = pathlib.Path(__file__).parent / "lbfgs.txt"
    with open(path, "w") as file:
        for options in CASES:
            words = [f"{k}={1.0 if isinstance(v, str) else float(v)}" for k, v in options.items()]
            file.write("LBFGS " + " ".join(words) + " ; ; " + " ".join(map(repr, run(options))) + "\n")


if __name__ == "__main__":
    main()
