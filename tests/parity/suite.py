"""A suite collects the cases of one op, computes the expected results, and converts them to tensors and JSON."""

import random
import zlib
from dataclasses import dataclass, field, replace
from functools import partial

import torch

import evaluate
from evaluate import TOLERANCE, distance, run
from pairwise import Pairs, rows
from values import Draw

F32, F64 = torch.float32, torch.float64
WIDEN_MARGIN = 4.0  # a widened tolerance is the need of torch's float32 times this factor
WIDEN_FROM = 0.5  # float32 may need this part of the default tolerance; with more, another order of sums may fail
NEIGHBORS = [2.0**-18, 2.0**-17, 3 * 2.0**-18]  # distances of the nearby points at which float32 is also measured
LUCK = 5.0  # differences there above this (in tolerances) are not caused by rounding
WIDEN_LIMIT = 250.0  # a case that needs more is not a test
AGREE = 1e3  # a reference agrees with torch within so many tolerances of float64, because torch's formula may cancel
LARGE, FADED = 5.0, 1e-3  # inputs above which an op may saturate; gradients that are then too small
RETRIES = 4  # further attempts for a pair of values without a case
UNSTABLE = 100.0  # with larger errors of float32 (in tolerances), float64 is not a reference either
AT_BOUND = "gradient 1 at a clamp's bound, as PyTorch 2.6 gave; 2.15 gives 0 (#191142)"
VALUE_ALONE = "the value alone: the gradients are rounding errors"


class Reject(Exception):
    """The draw is unsuitable (ill-conditioned, or its non-finite values depend on the precision) and is repeated."""


class Faded(Reject):
    """The gradients consist of rounding errors. The value may still be a useful case."""


class Disagreement(Exception):
    """The independent reference contradicts torch in a case without an announced deviation."""


@dataclass
class Case:
    inputs: dict
    options: dict = field(default_factory=dict)
    tensor_options: dict = field(default_factory=dict)
    grad_of: tuple = ()
    second: bool = True
    error: bool = False
    deviation: str = None
    compare: bool = True  # False: no comparison, because torch's result is undefined; the deviation is marked
    note: str = None
    tolerance: tuple = None

    def dtype(self):
        floating = [t.dtype for t in (*self.inputs.values(), *self.tensor_options.values()) if t.is_floating_point()]
        return floating[0] if floating else F64


@dataclass(frozen=True)
class Op:
    """`torch` computes the op with torch, `reference` independently. `fill(suite)` draws the cases."""

    fill: callable
    torch: callable
    reference: callable = None
    deviation: str = None  # the mark of a case that torch refuses or computes differently
    torch_twice: bool = True  # torch has a second order
    saturates: str = None  # its gradients become 0 for large inputs ("to zero" in torch's arithmetic) or "small"
    unfit: callable = None  # unfit(case): the results of the draw are rounding noise
    noisy: callable = None  # noisy(case, exact): only its gradients are rounding noise
    clamped: callable = None  # the formula of an op that contains a clamp: see clamps.py
    literal: callable = None  # torch's formula; draws in which it cancels completely are not tests


class Suite:
    def __init__(self, name, op, seed):
        stream = zlib.crc32(f"{seed}/{name}".encode())
        self.name, self.op, self.rng = name, op, random.Random(stream)
        self.draw = Draw(self.rng, torch.Generator().manual_seed(stream))
        self.cases, self.tensors, self.rejected = [], {}, 0
        self.telling = 0  # cases with a nonzero gradient
        self.uncovered = []  # pairs of values without a case
        self.main = None  # draws more cases of the first covering array

    def cover(self, factors, count, make, valid=lambda row: True, attempts=12):
        """Adds a case for each row of a pairwise covering array of `factors`: make(draw, row) -> Case."""
        pairs = Pairs(factors, valid)

        def draw(least):
            for row in rows(factors, least, self.rng, valid):
                if self._attempt(attempts, make, row):
                    pairs.meet(row)

        draw(count)
        for _ in range(RETRIES):
            for pair in list(pairs.open):
                row = pairs.row(pair, self.rng) if pair in pairs.open else None
                if row and self._attempt(attempts, make, row):
                    pairs.meet(row)
        self.uncovered += pairs.names()
        self.main = self.main or draw

    def fill_up(self, least):
        """Continues the first covering array until `least` cases have a nonzero gradient."""
        while self.telling < least:
            self.main(least - self.telling)

    def _attempt(self, attempts, make, row):
        """Draws until a case is accepted. If the gradients vanish in every draw, keeps the value. Returns success."""
        faded = None
        for _ in range(attempts):
            case = make(self.draw, row)
            try:
                self.add(case)
                return True
            except Faded:
                faded = case
            except Reject:
                pass
            self.rejected += 1
        if faded:
            try:
                self.add(replace(faded, grad_of=(), note=VALUE_ALONE))
                return True
            except Reject:
                pass
        return False

    def error(self, inputs, options=None, tensor_options=None):
        """Adds a call that must throw."""
        self._store(Case(inputs, options or {}, tensor_options or {}, error=True), {})

    def add(self, case):
        """Computes and stores the expected results of `case`. Raises Reject if the draw is unsuitable."""
        dtype, made = case.dtype(), {}
        if self.op.unfit and case.grad_of and self.op.unfit(case):
            raise Reject

        def randoms(kind):
            def get(name, shape):
                key = (kind, name)
                if key not in made:
                    made[key] = torch.randn(shape, generator=self.draw.generator, dtype=F64).to(dtype)
                return made[key]

            return get

        upstream, direction = randoms("upstream"), randoms("direction")

        def at(precision, function, second=case.second, of=case):
            return run(function, of, upstream, direction, precision, second)

        of_torch = self.op.torch
        if self.op.clamped and self._at_bound(case, at):
            case, of_torch = replace(case, note=AT_BOUND), self.op.clamped
        exact = at(F64, self.op.reference or of_torch)
        if self.op.noisy and case.grad_of and self.op.noisy(case, exact):
            raise Faded
        if self.op.saturates and _faded(case, exact, made, self.op.saturates == "to zero"):
            raise Faded
        if case.note == VALUE_ALONE and evaluate.scale(exact.outputs[0]) < FADED:
            raise Reject
        if not case.grad_of or not _worth_second_order(exact, dtype):
            case = replace(case, second=False)
            exact.grads2 = {}
        if self.op.literal and distance(exact, at(F64, self.op.literal), F64)[0] > AGREE:
            raise Reject
        if self.op.reference:
            case = replace(case, deviation=self._judge(case, exact, at))
        elif case.deviation or self.op.deviation:
            raise ValueError("a deviation needs an independent reference")
        expected = exact.map(lambda t: evaluate.cast(t, dtype))
        alone = case.deviation or (case.second and not self.op.torch_twice)
        rival = (self.op.literal or self.op.reference) if alone else of_torch
        mine, second = self.op.reference or of_torch, case.second

        def both(precision, better, of=case):
            return at(precision, mine if better else rival, second and of.second, of)

        case = _tolerate(case, exact, expected, both, dtype)
        self.telling += any((grad != 0).any() for grad in expected.grads.values())
        self._store(case, _result_tensors(case, expected, made))

    def _at_bound(self, case, at):
        """Returns True if a gradient depends on the convention at the bound of a clamp. One convention must be torch's."""
        passing, cutting = (at(F64, partial(self.op.clamped, compare=compare)) for compare in (torch.ge, torch.gt))
        theirs = at(F64, self.op.torch)
        misses = [distance(result, theirs, F64) for result in (passing, cutting)]
        miss, place = min(misses)
        if miss > AGREE:
            raise Disagreement(f"{self.name}: {miss:.3g} tolerances at {place}: {case}")
        return max(misses)[0] > AGREE

    def _judge(self, case, exact, at):
        """Returns the deviation to mark, or None if torch agrees. An unannounced difference is an error."""
        announced = case.deviation or self.op.deviation
        if not case.compare:
            return announced
        try:
            theirs = at(F64, self.op.torch, False)
            miss, place = distance(exact, theirs, F64, ("output", "grad "))
            if miss <= AGREE:
                return None
        except (RuntimeError, ValueError, IndexError, TypeError) as problem:
            miss, place = evaluate.INF, str(problem)
        if announced is None:
            raise Disagreement(f"{self.name}: {miss:.3g} tolerances at {place}: {case}")
        return announced

    def _store(self, case, results):
        case_id = f"{self.name}/{len(self.cases):05d}"
        entry = {
            "id": case_id,
            "op": self.name,
            "options": {k: _json_value(v) for k, v in case.options.items()},
            "inputs": list(case.inputs),
            "tensor_options": list(case.tensor_options),
            "grad_of": list(case.grad_of),
            "second": case.second and not case.error,
        }
        extra = ("error", case.error), ("tolerance", case.tolerance), ("deviation", case.deviation), ("note", case.note)
        entry.update({key: value for key, value in extra if value})
        self.cases.append(entry)
        for name, tensor in {**case.inputs, **case.tensor_options, **results}.items():
            self.tensors[f"{case_id}/{name}"] = tensor


def _shaken(case, by, beyond=0.0, dtype=F64):
    """Returns the case with numbers beyond a bound reduced by up to the fraction `by`, each by a different amount."""

    def nearer(t):
        share = (torch.arange(t.numel(), dtype=F64) % 7 + 1).reshape(t.shape) / 7
        return torch.where(t.abs() > beyond, t * (1 - by * share), t.double())

    def shake(tensors):
        return {name: nearer(t) if t.is_floating_point() else t for name, t in tensors.items()}

    floats = {"inputs": shake(case.inputs), "tensor_options": shake(case.tensor_options)}
    return replace(case, **{k: {n: evaluate.cast(t, dtype) for n, t in ts.items()} for k, ts in floats.items()})


def _tolerate(case, exact, expected, at, dtype):
    """Widens the tolerance if float32 needs it, and rejects a case that is too ill-conditioned to be a test.

    `at(precision, mine, of=case)` computes this case or another one; `mine` selects the better formula, that of `exact`.
    """
    for _, tensor, _ in exact.tensors():
        if 0 < evaluate.scale(tensor) < evaluate.SMALLEST[dtype]:
            raise Reject
    # The order of additions may change the value as much as one rounding of large numbers does.
    rounding = at(F64, True, of=replace(_shaken(case, 3 * torch.finfo(dtype).eps, LARGE), grad_of=(), second=False))
    shaken = distance(expected, rounding, dtype, "output")
    if dtype == F64:
        if shaken[0] > 1 or not _stable(case, at):
            raise Reject
        return case
    miss, place = max(distance(expected, at(F32, False), F32), shaken)
    if miss > WIDEN_LIMIT:
        raise Reject
    # float32 may be accurate here by chance, so nearby points are measured too. A much larger error means a kink in between.
    for by in NEIGHBORS:
        beside = _shaken(case, by, dtype=F32)
        theirs = distance(at(F64, True, of=beside).map(lambda t: evaluate.cast(t, F32)), at(F32, False, of=beside), F32)
        if miss < theirs[0] < LUCK:
            miss, place = theirs
    if miss <= WIDEN_FROM:
        return case
    tolerance = [float(f"{t * WIDEN_MARGIN * miss:.2g}") for t in TOLERANCE[F32]]
    note = f"tolerance widened: float32 in PyTorch needs {miss:.2g} times the default in {place}"
    return replace(case, tolerance=tolerance, note=f"{case.note}; {note}" if case.note else note)


def _faded(case, result, made, zero_too):
    """Returns True if large inputs have a gradient that consists of rounding errors, which cannot be compared."""
    if not any(evaluate.scale(t) > LARGE for t in case.inputs.values() if t.is_floating_point()):
        return False
    ups = max((evaluate.scale(t) for (kind, _), t in made.items() if kind == "upstream"), default=0.0)
    directions = [evaluate.scale(t) for (kind, _), t in made.items() if kind == "direction"]
    if result.outputs[0].dim() == 0:
        ups /= max(t.numel() for t in case.inputs.values())
    for floor, grads in [(FADED * ups, result.grads), (FADED * ups * max(directions, default=0.0), result.grads2)]:
        for tensor in grads.values():
            scale = evaluate.scale(tensor)
            if torch.isfinite(tensor).any() and scale < floor and (scale > 0 or zero_too):
                return True
    return False


def _stable(case, at):
    """Returns True if float32 is close to float64 for rounded inputs, so that float64 is a reference."""

    of = _shaken(case, 0, dtype=F32)
    miss, _ = distance(at(F64, False, of=of).map(lambda t: evaluate.cast(t, F32)), at(F32, False, of=of), F32)
    return miss < UNSTABLE or miss == evaluate.INF  # infinite: the values exceed the range of float32


def _worth_second_order(result, dtype):
    """Returns True if first and second order are finite in `dtype`. Only then is the second order compared."""
    pairs = [*result.grads.items(), *result.grads2.items()]
    return bool(result.grads2) and all(torch.isfinite(t.to(dtype)).all() for _, t in pairs)


def _result_tensors(case, expected, made):
    """Returns the tensors of the results by their names in the file."""
    several = len(expected.outputs) > 1
    found = {f"output/{i}" if several else "output": t for i, t in enumerate(expected.outputs)}
    if case.grad_of:
        for i, output in enumerate(expected.outputs):
            upstream = made.get(("upstream", i))
            upstream = torch.zeros_like(output) if upstream is None else upstream
            found[f"upstream/{i}" if several else "upstream"] = upstream
    found |= {f"grad/{name}": t for name, t in expected.grads.items()}
    if case.second:
        found |= {f"direction/{name}": made["direction", name] for name in case.grad_of}
        found |= {f"grad2/{name}": t for name, t in expected.grads2.items()}
    return found


def _json_value(value):
    """Converts infinities to strings. Other values are already JSON."""
    if isinstance(value, float) and value in (evaluate.INF, -evaluate.INF):
        return "inf" if value > 0 else "-inf"
    return value
