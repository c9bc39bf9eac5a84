"""Numbers of 60 digits with their partial derivatives, and the textbook definitions of the losses."""

from mpmath import mp, mpf

mp.dps = 60


class Number:
    """A value with a sparse gradient: {input: partial}."""

    def __init__(self, value, partials=None):
        self.value, self.partials = mpf(value), partials or {}

    def chain(self, value, slope):
        return Number(value, {k: slope * d for k, d in self.partials.items()})

    def __add__(self, other):
        other = number(other)
        partials = dict(self.partials)
        for k, d in other.partials.items():
            partials[k] = partials.get(k, mpf(0)) + d
        return Number(self.value + other.value, partials)

    def __mul__(self, other):
        other = number(other)
        left, right = self.chain(0, other.value), other.chain(0, self.value)
        return Number(self.value * other.value, (left + right).partials)

    def __neg__(self):
        return self.chain(-self.value, mpf(-1))

    def __sub__(self, other):
        return self + -number(other)

    def __truediv__(self, other):
        return self * number(other).power(-1)

    def __rsub__(self, other):
        return number(other) - self

    def __rtruediv__(self, other):
        return number(other) / self

    __radd__, __rmul__ = __add__, __mul__

    def power(self, exponent):
        if self.value == 0:
            return self.chain(mpf(0) ** exponent, mpf(exponent == 1))
        return self.chain(self.value**exponent, exponent * self.value ** (exponent - 1))

    def __lt__(self, other):
        return self.value < number(other).value

    def __gt__(self, other):
        return self.value > number(other).value


def number(x):
    return x if isinstance(x, Number) else Number(x)


def exp(x):
    e = mp.exp(x.value)
    return x.chain(e, e)


def log(x):
    return x.chain(mp.log(x.value), 1 / x.value)


def sqrt(x):
    return x.power(mpf(1) / 2)


def absolute(x):
    return x.chain(abs(x.value), mp.sign(x.value))


def sigmoid(x):
    s = 1 / (1 + mp.exp(-x.value))
    return x.chain(s, s / (1 + mp.exp(x.value)))


def softplus(x):
    v = x.value
    return x.chain(max(v, mpf(0)) + mp.log1p(mp.exp(-abs(v))), 1 / (1 + mp.exp(-v)))


def hinge(x, at_bound=1):
    """Returns max(x, 0), with derivative `at_bound` at 0."""
    inside = x.value > 0 or (x.value == 0 and at_bound)
    return x.chain(max(x.value, mpf(0)), mpf(1 if inside else 0))


def total(xs):
    result = Number(0)
    for x in xs:
        result = result + x
    return result


def log_sum_exp(xs):
    top = max(x.value for x in xs)
    return log(total(exp(x - top) for x in xs)) + top


def log_softmax(xs):
    norm = log_sum_exp(xs)
    return [x - norm for x in xs]
