"""Draws the values of tensors by regime. All random numbers of a suite come from its Draw."""

import torch

NAN, INF = float("nan"), float("inf")
F32, F64 = torch.float32, torch.float64
DTYPES = [F32, F64]
REGIMES = ["normal", "wide", "extreme", "tiny", "kink", "special"]

# Magnitudes near which functions change branch, saturate or overflow in one of the two precisions.
EXTREME = [15.0, 20.0, 50.0, 88.0, 89.5, 104.0, 500.0, 709.0, 800.0, 1e4, 1e10, 1e18]
SPECIAL = [NAN, INF, -INF, 0.0, -0.0, 1.0, -1.5]


class Draw:
    """`rng` is a random.Random, `generator` a torch.Generator. The suite seeds both."""

    def __init__(self, rng, generator):
        self.rng, self.generator = rng, generator

    def normal(self, shape, dtype=F64, scale=1.0, shift=0.0):
        return (torch.randn(shape, generator=self.generator, dtype=F64) * scale + shift).to(dtype)

    def uniform(self, shape, dtype=F64, low=0.0, high=1.0):
        unit = torch.rand(shape, generator=self.generator, dtype=F64)
        return (low + (high - low) * unit).clamp(low, high).to(dtype)

    def integers(self, shape, low, high, dtype=torch.int64):
        """Draws numbers in [low, high)."""
        return torch.randint(low, high, shape, generator=self.generator).to(dtype)

    def pick(self, shape, values, dtype=F64):
        """Draws elements of a list. An element repeats only after all others have occurred."""
        count = torch.Size(shape).numel()
        found = []
        while len(found) < count:
            found += self.rng.sample(values, len(values))
        return torch.tensor(found[:count], dtype=F64).reshape(shape).to(dtype)

    def grid(self, shape, dtype=F64, reach=8, step=0.25):
        """Draws multiples of `step`, whose sums and differences are exact in f32, so that kinks are hit exactly."""
        return (self.integers(shape, -reach, reach + 1) * step).to(dtype)

    def signed(self, shape, magnitudes, dtype=F64):
        return self.pick(shape, [s * m for m in magnitudes for s in (1.0, -1.0)], dtype)

    def _anchored(self, x):
        """Puts one ordinary element among several extreme ones, which keeps the scale of vanishing results."""
        if x.numel() > 1:
            x.view(-1)[self.rng.randrange(x.numel())] = self.rng.choice([0.75, -0.75])
        return x

    def regime(self, name, shape, dtype, kinks=(0.0,)):
        """Draws scores by regime; `kink` mixes exact kinks with values near them."""
        if name == "normal":
            return self.normal(shape, dtype)
        if name == "wide":
            return self.normal(shape, dtype, scale=12.0)
        if name == "extreme":
            return self._anchored(self.signed(shape, EXTREME, dtype))
        if name == "tiny":
            return self.normal(shape, dtype, scale=10.0 ** -self.rng.choice([3, 6, 9, 12]))
        if name == "kink":
            near = [k + d for k in kinks for d in (0.0, 0.0, 0.25, -0.25)]
            return self.pick(shape, near, dtype)
        if name == "special":
            return self.pick(shape, SPECIAL, dtype)
        raise ValueError(name)

    def subset(self, items):
        """Returns a non-empty part of a list, in order."""
        chosen = [item for item in items if self.rng.random() < 0.5]
        return chosen or [self.rng.choice(items)]
