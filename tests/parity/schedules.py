"""Writes schedules.txt: the learning rates of PyTorch's schedulers, as factors on the optimizer's rate.

    python tests/parity/schedules.py

A line: a name, which tests/nn/schedules_test.cpp knows, and the factors at steps 0 to 59. Lines of ReduceLROnPlateau have the
rates after each of 59 values sin(0.7 t) + 3 exp(-0.1 t), each rounded to a multiple of 1/8.
"""
import math
import pathlib

import torch
from torch.optim import lr_scheduler as s

STEPS = 60
LR = 0.5


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)


def factors(make, base=LR):
    o = optimizer()
    scheduler = make(o)
    values = []
    for _ in range(STEPS):
        values.append(o.param_groups[0]["lr"] / base)
        o.step()
        scheduler.step()
    return values


def plateau(**options):
    o = optimizer()
    scheduler = s.ReduceLROnPlateau(o, **options)
    values = [LR]
    for t in range(STEPS - 1):
        scheduler.step(round(8 * (math.sin(0.7 * t) + 3 * math.exp(-0.1 * t))) / 8)
        values.append(o.param_groups[0]["lr"])
    return values


def chain(o):
    return s.SequentialLR(o, [s.LinearLR(o, 0.1, total_iters=10), s.CosineAnnealingLR(o, 40)], milestones=[10])


def three(o):
    parts = [s.ConstantLR(o, 0.25, 100), s.StepLR(o, 5, 0.5), s.ExponentialLR(o, 0.9)]
    return s.SequentialLR(o, parts, milestones=[7, 30])


CASES = {
    "constant": lambda: factors(lambda o: s.ConstantLR(o)),
    "constant_options": lambda: factors(lambda o: s.ConstantLR(o, 0.4, 12)),
    "linear": lambda: factors(lambda o: s.LinearLR(o)),
    "linear_options": lambda: factors(lambda o: s.LinearLR(o, 0.2, 0.7, 30)),
    "step": lambda: factors(lambda o: s.StepLR(o, 7)),
    "step_options": lambda: factors(lambda o: s.StepLR(o, 11, 0.6)),
    "multistep": lambda: factors(lambda o: s.MultiStepLR(o, [3, 20, 20, 41], 0.5)),
    "exponential": lambda: factors(lambda o: s.ExponentialLR(o, 0.93)),
    "polynomial": lambda: factors(lambda o: s.PolynomialLR(o)),
    "polynomial_options": lambda: factors(lambda o: s.PolynomialLR(o, 40, 2.5)),
    "cosine": lambda: factors(lambda o: s.CosineAnnealingLR(o, 25)),
    "cosine_options": lambda: factors(lambda o: s.CosineAnnealingLR(o, 20, 0.1 * LR)),
    "cosine_restarts": lambda: factors(lambda o: s.CosineAnnealingWarmRestarts(o, 13)),
    "cosine_restarts_options": lambda: factors(lambda o: s.CosineAnnealingWarmRestarts(o, 5, 2, 0.2 * LR)),
    "one_cycle": lambda: factors(lambda o: s.OneCycleLR(o, LR, total_steps=STEPS + 1)),
    "one_cycle_linear": lambda: factors(lambda o: s.OneCycleLR(o, LR, total_steps=STEPS + 1, pct_start=0.4,
                                        anneal_strategy="linear", div_factor=10, final_div_factor=100)),
    "one_cycle_three": lambda: factors(lambda o: s.OneCycleLR(o, LR, total_steps=STEPS + 1, three_phase=True)),
    "cyclic": lambda: factors(lambda o: s.CyclicLR(o, LR, 3 * LR, 8)),
    "cyclic_triangular2": lambda: factors(lambda o: s.CyclicLR(o, LR, 3 * LR, 8, 5, mode="triangular2")),
    "cyclic_exp_range": lambda: factors(lambda o: s.CyclicLR(o, LR, 3 * LR, 8, 5, mode="exp_range", gamma=0.95)),
    "lambda": lambda: factors(lambda o: s.LambdaLR(o, lambda t: 1 / (1 + 0.1 * t))),
    "warm_up": lambda: factors(chain),
    "sequence": lambda: factors(three),
    "product": lambda: factors(lambda o: s.ChainedScheduler([s.ConstantLR(o, 0.5, 10), s.ExponentialLR(o, 0.9)])),
    "plateau": lambda: plateau(patience=2),
    "plateau_max": lambda: plateau(mode="max", factor=0.5, patience=3, cooldown=4, min_lr=0.01),
    "plateau_abs": lambda: plateau(factor=0.7, patience=1, threshold=0.3, threshold_mode="abs", eps=0.02),
    "plateau_rel": lambda: plateau(factor=0.7, patience=0, threshold=0.1, cooldown=2),
}


def main():
    path = pathlib.Path(__file__).parent / "schedules.txt"
    with open(path, "w") as file:
        for name, make in CASES.items():
            file.write(name + " " + " ".join(map(repr, make())) + "\n")
    print(len(CASES), "schedules,", path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
