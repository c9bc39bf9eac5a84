"""Pointwise arithmetic of one and two tensors, with broadcasting, and matmul."""

import torch

import clamps
from activations import unary
from suite import Case, Op
from values import DTYPES, F32, F64

BROADCAST = [
    ((), ()),
    ((5,), ()),
    ((), (2, 3)),
    ((1,), (6,)),
    ((3, 4), (3, 4)),
    ((3, 4), (4,)),
    ((3, 1), (1, 4)),
    ((2, 1, 3), (4, 1)),
    ((2, 2, 2), (2, 1, 2)),
    ((19,), (19,)),
    ((0, 3), (3,)),
]
MATMUL = [
    ((3,), (3,)),
    ((3,), (3, 2)),
    ((4, 3), (3,)),
    ((2, 3), (3, 4)),
    ((1, 1), (1, 1)),
    ((17, 9), (9, 10)),
    ((5, 1), (1, 4)),
    ((3,), (2, 3, 2)),
    ((2, 4, 3), (3,)),
    ((2, 2, 3), (2, 3, 4)),
    ((2, 2, 3), (3, 4)),
    ((2, 3), (2, 3, 4)),
    ((2, 1, 2, 3), (3, 3, 2)),
    ((1, 2, 3), (4, 3, 1)),
    ((2, 0), (0, 3)),
    ((0, 3), (3, 2)),
    ((2, 0, 3), (3, 2)),
    ((0,), (0,)),
]
BAD_BROADCAST = [((3,), (4,)), ((2, 3), (3, 2)), ((2, 3), (2,))]
BAD_MATMUL = [((3,), (4,)), ((2, 3), (2, 3)), ((2, 3), (2,)), ((2, 2, 3), (3, 3, 4)), ((), (3,)), ((3, 2), ())]


def _errors(suite, names, pairs):
    draw = suite.draw
    for dtype, (a, b) in zip([F32, F64] * len(pairs), pairs):
        suite.error(dict(zip(names, [draw.normal(a, dtype), draw.normal(b, dtype)])))
    suite.error(dict(zip(names, [draw.normal((2, 2), F32), draw.normal((2, 2), F64)])))


def binary(function, regimes, names=("input", "other"), prepare=lambda a, b, regime: (a, b), count=66):
    """Draws two tensors that broadcast. `prepare(a, b, regime)` moves them into the domain."""
    factors = {"dtype": DTYPES, "shapes": BROADCAST, "regime": regimes, "grad": ["both", "one"]}

    def make(draw, row):
        regime, dtype = row["regime"], row["dtype"]
        drawn = [draw.regime(regime, shape, dtype, (0.0, 1.0)) for shape in row["shapes"]]
        inputs = dict(zip(names, prepare(*drawn, regime)))
        grad_of = names if row["grad"] == "both" else (draw.rng.choice(names),)
        return Case(inputs, grad_of=grad_of, second=regime != "special")

    def fill(suite):
        suite.cover(factors, count, make)
        _errors(suite, names, BAD_BROADCAST)

    return Op(fill, function)


def _fill_matmul(suite):
    factors = {"dtype": DTYPES, "shapes": MATMUL, "regime": ["normal", "wide", "kink"], "grad": ["both", "one"]}
    names = ("input", "other")

    def make(draw, row):
        inputs = {n: draw.regime(row["regime"], s, row["dtype"]) for n, s in zip(names, row["shapes"])}
        return Case(inputs, grad_of=names if row["grad"] == "both" else (draw.rng.choice(names),))

    suite.cover(factors, 80, make)
    _errors(suite, names, BAD_MATMUL)


def _positive_base(base, exponent, regime):
    """Except for special values, a real power needs a positive base."""
    return (base if regime == "special" else base.abs() + 0.25), exponent


def _fill_pow(suite):
    """Adds a scalar exponent as an option, then a tensor exponent as the second input."""
    exponents = [2.0, 3.0, 0.5, -1.0, 0.0, 1.0, 1.5, -2.0, 2.5, 4.0, -0.5]

    def real(row):
        return row["exponent"] == int(row["exponent"]) or row["regime"] in ("normal", "wide", "tiny")

    def fill(kind, whole):
        options = {"exponent": [e for e in exponents if (e == int(e)) == whole]}
        unary(torch.pow, options, positive=not whole, count=30, valid=real).fill(kind)

    fill(suite, True)
    fill(suite, False)
    binary(torch.pow, ["normal", "kink"], ("input", "exponent"), _positive_base, count=40).fill(suite)


def _finite_quotient(a, b, regime):
    return a, (b if regime in ("special", "kink") else torch.where(b >= 0, b + 0.25, b - 0.25))


CALM = ["normal", "wide", "tiny", "kink", "extreme"]
ALL = [*CALM, "special"]

def _is_mixed_at_zero(case):
    """At exponent 0, torch's mixed derivative is 1 / x in one order of differentiation and 0 in the other."""
    return case.second and len(case.grad_of) > 1 and (case.inputs["exponent"] == 0).any()


OPS = {
    "exp": unary(torch.exp),
    "expm1": unary(torch.expm1, saturates="to zero"),
    "log": unary(torch.log, positive=True),
    "log1p": unary(torch.log1p, kinks=lambda o: (0.0, -1.0), positive=True),
    "sqrt": unary(torch.sqrt, positive=True),
    "abs": unary(torch.abs),
    "clamp": unary(
        torch.clamp,
        {"min": [None, -1.0, -0.5, 0.25, -float("inf")], "max": [None, 1.0, 0.5, 2.0, float("inf")]},
        lambda o: [bound for bound in o.values() if abs(bound) < float("inf")] or [0.0],
        count=60,
        valid=lambda row: row["min"] is not None or row["max"] is not None,
        clamped=clamps.clamp,
    ),
    "pow": Op(_fill_pow, torch.pow, unfit=_is_mixed_at_zero),
    "add": binary(torch.add, ALL),
    "sub": binary(torch.sub, ALL),
    "mul": binary(torch.mul, ALL),
    "div": binary(torch.div, ALL, prepare=_finite_quotient),
    "maximum": binary(torch.maximum, ALL),
    "minimum": binary(torch.minimum, ALL),
    "matmul": Op(_fill_matmul, torch.matmul),
}
