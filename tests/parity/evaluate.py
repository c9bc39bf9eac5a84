"""Runs one case: outputs, gradients of first and second order, and the distance of two results."""

from dataclasses import dataclass, field

import torch

INF = float("inf")
TOLERANCE = {torch.float32: (1e-6, 2e-5), torch.float64: (1e-12, 1e-9)}
SECOND_ORDER = 10.0  # the factor on the tolerances of grad2
SMALLEST = {torch.float32: 1e-30, torch.float64: 1e-290}  # smaller values are close to denormals and are rejected


@dataclass
class Result:
    outputs: list
    grads: dict = field(default_factory=dict)
    grads2: dict = field(default_factory=dict)

    def tensors(self):
        """Yields (name, tensor, factor on the tolerance) for all tensors to compare."""
        yield from ((f"output {i}", t, 1.0) for i, t in enumerate(self.outputs))
        yield from ((f"grad {name}", t, 1.0) for name, t in self.grads.items())
        yield from ((f"grad2 {name}", t, SECOND_ORDER) for name, t in self.grads2.items())

    def map(self, f):
        return Result(
            [f(t) for t in self.outputs],
            {name: f(t) for name, t in self.grads.items()},
            {name: f(t) for name, t in self.grads2.items()},
        )


def cast(tensor, dtype):
    """Converts floating tensors to `dtype`."""
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _gradients(of, leaves, seeds, create_graph):
    """Returns d(sum(seeds * of)) / d leaves, with zeros if there is no path."""
    live = [(o, s) for o, s in zip(of, seeds) if o.requires_grad]
    if not live:
        return [torch.zeros_like(leaf) for leaf in leaves]
    outs, ups = zip(*live)
    found = torch.autograd.grad(outs, leaves, ups, create_graph=create_graph, allow_unused=True)
    # `+ 0.0` gives a storage to torch's zeros without one.
    return [torch.zeros_like(leaf) if g is None else g + 0.0 for g, leaf in zip(found, leaves)]


def run(function, case, upstream, direction, dtype, second):
    """Evaluates `case` with `function` in `dtype`. `upstream(i, shape)` and `direction(name, shape)` return tensors."""
    tensors = {name: cast(t, dtype) for name, t in {**case.inputs, **case.tensor_options}.items()}
    for name in case.grad_of:
        tensors[name] = tensors[name].detach().clone().requires_grad_()
    outputs = function(
        *(tensors[name] for name in case.inputs),
        **{name: tensors[name] for name in case.tensor_options},
        **case.options,
    )
    outputs = list(outputs) if isinstance(outputs, tuple) else [outputs]
    result = Result([o.detach() for o in outputs])
    if not case.grad_of:
        return result
    leaves = [tensors[name] for name in case.grad_of]
    seeds = [cast(upstream(i, o.shape), dtype) for i, o in enumerate(outputs)]
    grads = _gradients(outputs, leaves, seeds, create_graph=second)
    result.grads = {name: g.detach() for name, g in zip(case.grad_of, grads)}
    if second:
        directions = [cast(direction(name, leaf.shape), dtype) for name, leaf in zip(case.grad_of, leaves)]
        grads2 = _gradients(grads, leaves, directions, create_graph=False)
        result.grads2 = {name: g.detach() for name, g in zip(case.grad_of, grads2)}
    return result


def scale(tensor):
    """Returns the largest finite magnitude."""
    finite = tensor[torch.isfinite(tensor)].double().abs()
    return finite.max().item() if finite.numel() else 0.0


def _miss(expected, got, atol, rtol):
    """Returns the error in tolerances; infinity if shapes, NaNs or infinities differ."""
    if expected.shape != got.shape:
        return INF
    expected, got = expected.double(), got.double()
    finite = torch.isfinite(expected)
    if not torch.equal(expected[~finite].nan_to_num(0.5), got[~finite].nan_to_num(0.5)):
        return INF
    if not torch.isfinite(got[finite]).all():
        return INF
    error = (got - expected)[finite].abs()
    allowed = atol * scale(expected) + rtol * expected[finite].abs()
    ratio = torch.where(error == 0, 0.0, error / allowed)
    return ratio.max().item() if ratio.numel() else 0.0


def distance(expected, got, dtype, only=""):
    """Returns the largest error in default tolerances of `dtype`, and its name. `only` selects results by prefix."""
    atol, rtol = TOLERANCE[dtype]
    worst, place = 0.0, ""
    others = {name: t for name, t, _ in got.tensors()}
    for name, tensor, factor in expected.tensors():
        if not name.startswith(only):
            continue
        miss = _miss(tensor, others[name], atol * factor, rtol * factor) if name in others else INF
        if miss > worst:
            worst, place = miss, name
    return worst, place
