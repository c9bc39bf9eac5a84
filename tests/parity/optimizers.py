"""Writes optimizers.txt: parameters under PyTorch's optimizers over 200 steps, in double precision.

    python tests/parity/optimizers.py

Start and gradients are formulas, so the file holds the results alone. Tensor k, element i, step t (1 at the first):
    p0 = sin(0.9 i + 1.7 k + 0.3)
    g  = sin(1.3 t + 0.7 i + 2.1 k) (1 + 0.5 cos(0.37 t))
tests/nn/optimizer_cases.h repeats them. A line is a case: optimizer, options; how it is used; the
parameters at the steps of SAVED. Lion and LAMB, which PyTorch lacks, follow the functions below. Muon is
PyTorch's class, with its iteration in double precision instead of bfloat16.
"""
import math
import pathlib

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

STEPS = 200
SAVED = [1, 2, 3, 7, 20, 60, 130, 200]
ADJUST = ["original", "match_rms_adamw", "spectral_unclamped"]
SHAPES = [[2, 3], [4], []]
MATRICES = [[2, 3], [3, 2], [3, 3]]


def start(k, shape):
    n = math.prod(shape)
    return torch.tensor([math.sin(0.9 * i + 1.7 * k + 0.3) for i in range(n)], dtype=torch.float64).reshape(shape)


def gradient(t, k, shape):
    n = math.prod(shape)
    values = [math.sin(1.3 * t + 0.7 * i + 2.1 * k) * (1 + 0.5 * math.cos(0.37 * t)) for i in range(n)]
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


class Formula(torch.optim.Optimizer):
    """An optimizer of one function (p, g, state, options)."""

    def __init__(self, params, update, defaults, **options):
        self.update = update
        super().__init__(params, {**defaults, **options})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    g = -p.grad if group["maximize"] else p.grad
                    self.update(p, g, self.state[p], group)


def lion(p, g, state, o):
    m = state.setdefault("m", torch.zeros_like(p))
    u = torch.sign(o["beta1"] * m + (1 - o["beta1"]) * g)
    p.copy_(p * (1 - o["lr"] * o["weight_decay"]) - o["lr"] * u)
    m.copy_(o["beta2"] * m + (1 - o["beta2"]) * g)


def lamb(p, g, state, o):
    m = state.setdefault("m", torch.zeros_like(p))
    v = state.setdefault("v", torch.zeros_like(p))
    t = state["t"] = state.get("t", 0) + 1
    m.copy_(o["beta1"] * m + (1 - o["beta1"]) * g)
    v.copy_(o["beta2"] * v + (1 - o["beta2"]) * g * g)
    u = (m / (1 - o["beta1"] ** t)) / ((v / (1 - o["beta2"] ** t)).sqrt() + o["eps"]) + o["weight_decay"] * p
    weights, size = p.norm(), u.norm()
    ratio = weights / size if weights > 0 and size > 0 else 1.0
    p.copy_(p - o["lr"] * ratio * u)


def zeropower(grad, coefficients, steps, eps):
    a, b, c = coefficients
    x = grad.T if grad.size(0) > grad.size(1) else grad
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if grad.size(0) > grad.size(1) else x


FORMULAS = {
    "Lion": (lion, dict(lr=1e-4, beta1=0.9, beta2=0.99, weight_decay=0.0, maximize=False)),
    "LAMB": (lamb, dict(lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-6, weight_decay=0.0, maximize=False)),
}


def torch_options(o):
    """Ebb's names as torch's."""
    o = dict(o)
    if "beta1" in o or "beta2" in o:
        o["betas"] = (o.pop("beta1", 0.9), o.pop("beta2", 0.999))
    if "eta_minus" in o or "eta_plus" in o:
        o["etas"] = (o.pop("eta_minus", 0.5), o.pop("eta_plus", 1.2))
    if "step_size_min" in o or "step_size_max" in o:
        o["step_sizes"] = (o.pop("step_size_min", 1e-6), o.pop("step_size_max", 50))
    if "eps1" in o or "eps2" in o:
        o["eps"] = (o.pop("eps1", None), o.pop("eps2", 1e-3))
    return o


def make(name, params, options):
    if name in FORMULAS:
        update, defaults = FORMULAS[name]
        return Formula(params, update, defaults, **options)
    return getattr(torch.optim, name)(params, **torch_options(options), **({} if name == "Muon" else {"foreach": False}))


def run(name, options, groups=None, frozen=None, max_norm=None, max_value=None, accumulate=1, ema=None, lr_halves=None):
    shapes = MATRICES if name == "Muon" else SHAPES
    params = [torch.nn.Parameter(start(k, s)) for k, s in enumerate(shapes)]
    if groups:  # the last parameters have options of their own
        optimizer = make(name, params[:1], options)
        optimizer.add_param_group({"params": params[1:], **torch_options(groups)})
    else:
        optimizer = make(name, params, options)
    averaged = None
    if ema:
        model = torch.nn.Module()
        for k, p in enumerate(params):
            model.register_parameter(f"p{k}", p)
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema))
    values = []
    for t in range(1, STEPS + 1):
        for k, p in enumerate(params):
            p.grad = torch.zeros_like(p)
            for part in range(accumulate):
                p.grad += gradient(t * accumulate + part, k, shapes[k]) / accumulate
            if frozen and k == frozen["tensor"] and frozen["from"] <= t < frozen["until"]:
                p.grad = None
        if max_norm is not None:
            torch.nn.utils.clip_grad_norm_(params, max_norm)
        if max_value is not None:
            torch.nn.utils.clip_grad_value_(params, max_value)
        if lr_halves:
            for group in optimizer.param_groups:
                group.setdefault("first_lr", group["lr"])
                group["lr"] = group["first_lr"] * 0.5 ** ((t - 1) // lr_halves)
        optimizer.step()
        if averaged:
            averaged.update_parameters(model)
        if t in SAVED:
            seen = list(averaged.module.parameters()) if averaged else params
            values.append([x for p in seen for x in p.detach().flatten().tolist()])
    return values


DECAY = dict(weight_decay=0.1)
CASES = [
    ("SGD", {}, dict(lr=0.1), dict(lr=0.1, momentum=0.9), dict(lr=0.1, momentum=0.9, dampening=0.3, **DECAY),
     dict(lr=0.05, momentum=0.8, nesterov=True, **DECAY), dict(lr=0.1, maximize=True)),
    ("Adam", {}, dict(lr=0.02, beta1=0.8, beta2=0.95, eps=1e-3, **DECAY), dict(lr=0.01, amsgrad=True),
     dict(lr=0.01, amsgrad=True, maximize=True, **DECAY), dict(lr=0.01, decoupled_weight_decay=True, **DECAY)),
    ("AdamW", {}, dict(lr=0.02, beta1=0.8, beta2=0.95), dict(lr=0.01, amsgrad=True, weight_decay=0.2),
     dict(lr=0.01, maximize=True)),
    ("Adamax", {}, dict(lr=0.02, beta1=0.8, beta2=0.95, eps=1e-3, **DECAY), dict(lr=0.01, maximize=True)),
    ("NAdam", {}, dict(lr=0.02, beta1=0.8, beta2=0.95, eps=1e-3, **DECAY), dict(momentum_decay=0.1),
     dict(momentum_decay=0.0), dict(lr=0.01, decoupled_weight_decay=True, maximize=True, **DECAY)),
    ("RAdam", {}, dict(lr=0.02, beta1=0.8, beta2=0.95, eps=1e-3, **DECAY),
     dict(lr=0.01, decoupled_weight_decay=True, maximize=True, **DECAY), dict(lr=0.01, beta2=0.5)),
    ("RMSprop", {}, dict(lr=0.02, alpha=0.9, eps=1e-3, **DECAY), dict(momentum=0.9), dict(centered=True, eps=1e-2),
     dict(centered=True, eps=1e-2, momentum=0.5, maximize=True, **DECAY)),
    ("Adagrad", {}, dict(lr=0.1, lr_decay=0.05, initial_accumulator_value=0.3, eps=1e-3, **DECAY), dict(maximize=True)),
    ("Adadelta", {}, dict(lr=0.5, rho=0.8, eps=1e-4, **DECAY), dict(maximize=True)),
    ("Rprop", {}, dict(lr=0.05, eta_minus=0.4, eta_plus=1.3), dict(step_size_min=0.005, step_size_max=0.05),
     dict(maximize=True)),
    ("ASGD", {}, dict(lr=0.05, lambd=0.01, alpha=0.6, t0=40, **DECAY), dict(maximize=True)),
    ("Lion", {}, dict(lr=0.01, beta1=0.8, beta2=0.95, **DECAY), dict(lr=0.01, maximize=True)),
    ("LAMB", {}, dict(lr=0.02, beta1=0.8, beta2=0.95, eps=1e-3, **DECAY), dict(lr=0.01, maximize=True)),
    ("Adafactor", {}, dict(lr=0.05, beta2_decay=-0.6, eps1=1e-3, eps2=1e-2, d=1.5, **DECAY), dict(maximize=True)),
    ("Muon", {}, dict(lr=0.02, momentum=0.8, nesterov=False, weight_decay=0.0),
     dict(lr=0.01, adjust_lr_fn="match_rms_adamw", ns_steps=3), dict(lr=0.01, adjust_lr_fn="spectral_unclamped")),
]
# Groups, freezing, clipping, accumulation, averages and schedules.
WAYS = [
    ("Adam", dict(lr=0.01), dict(groups=dict(lr=0.05, weight_decay=0.2))),
    ("SGD", dict(lr=0.01, momentum=0.9), dict(groups=dict(lr=0.05, momentum=0.0))),
    ("Adam", dict(lr=0.01), dict(frozen={"tensor": 1, "from": 1, "until": 50})),
    ("Adam", dict(lr=0.01), dict(frozen={"tensor": 0, "from": 30, "until": 90})),
    ("SGD", dict(lr=0.01, momentum=0.9, dampening=0.5), dict(frozen={"tensor": 1, "from": 1, "until": 20})),
    ("NAdam", dict(lr=0.01), dict(frozen={"tensor": 2, "from": 5, "until": 20})),
    ("SGD", dict(lr=0.05, momentum=0.9), dict(max_norm=0.5)),
    ("Adam", dict(lr=0.05), dict(max_norm=0.5, groups=dict(lr=0.02))),
    ("SGD", dict(lr=0.05, momentum=0.9), dict(max_value=0.3)),
    ("AdamW", dict(lr=0.01), dict(accumulate=3)),
    ("AdamW", dict(lr=0.01), dict(accumulate=4, max_norm=0.3, max_value=0.1)),
    ("Adam", dict(lr=0.05), dict(ema=0.9)),
    ("SGD", dict(lr=0.05, momentum=0.9, maximize=True), dict(ema=0.99, max_norm=1.0)),
    ("Adam", dict(lr=0.05), dict(lr_halves=40)),
    ("RMSprop", dict(lr=0.05), dict(lr_halves=40, groups=dict(lr=0.01, centered=True))),
    ("LAMB", dict(lr=0.02), dict(max_norm=0.5, lr_halves=70)),
    ("Muon", dict(lr=0.02), dict(max_norm=0.5, lr_halves=70)),
    ("Adafactor", dict(lr=0.02), dict(max_norm=0.5, lr_halves=70)),
]


def words(options):
    """name=number, with dots for options of options."""
    flat = []
    for key, value in options.items():
        if isinstance(value, dict):
            flat += [f"{key}.{inner}={number(v)}" for inner, v in value.items()]
        else:
            flat.append(f"{key}={number(value)}")
    return " ".join(flat)


def number(value):
    return ADJUST.index(value) if isinstance(value, str) else repr(float(value))


def main():
    torch.set_default_dtype(torch.float64)  # states of one number, such as NAdam's product, in double precision too
    import torch.optim._muon as muon
    muon._zeropower_via_newtonschulz = zeropower
    cases = [(name, o, {}) for name, *options in CASES for o in options] + WAYS
    path = pathlib.Path(__file__).parent / "optimizers.txt"
    with open(path, "w") as file:
        for name, options, way in cases:
            values = [x for row in run(name, options, **way) for x in row]
            line = [name, words(options), ";", words(way), ";", " ".join(map(repr, values))]
            file.write(" ".join(part for part in line if part) + "\n")
    print(len(cases), "cases,", path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
