"""Covering arrays: rows in which every valid pair of values of two factors occurs."""

from itertools import combinations


class Pairs:
    """The pairs of values of two factors that no row contains yet. `valid(row)` selects the possible rows."""

    def __init__(self, factors, valid=lambda row: True):
        self.factors, self.valid = factors, valid
        # A value that is listed twice, to be drawn more often, counts as one value.
        places = {name: sorted({values.index(v) for v in values}) for name, values in factors.items()}
        self.open = {
            frozenset({(a, i), (b, j)}): None
            for a, b in combinations(factors, 2)
            for i in places[a]
            for j in places[b]
        }

    def _picks(self, row):
        return {name: self.factors[name].index(value) for name, value in row.items()}

    def meet(self, row):
        for pair in combinations(self._picks(row).items(), 2):
            self.open.pop(frozenset(pair), None)

    def _fill(self, pair, rng):
        """Returns a row with `pair` and, by a greedy choice, many other open pairs."""
        row = dict(sorted(pair))
        for name in rng.sample(list(self.factors), len(self.factors)):
            if name in row:
                continue
            gains = [
                sum(frozenset({(name, self.factors[name].index(value)), item}) in self.open for item in row.items())
                + rng.random()
                for value in self.factors[name]
            ]
            row[name] = gains.index(max(gains))
        return {name: self.factors[name][row[name]] for name in self.factors}

    def row(self, pair, rng, attempts=40):
        """Returns a valid row with `pair`. If none is found, returns None and drops the pair."""
        for _ in range(attempts):
            row = self._fill(pair, rng)
            if self.valid(row):
                return row
        self.open.pop(pair)
        return None

    def names(self):
        """Returns the open pairs as text."""
        return [" with ".join(f"{n} {self.factors[n][i]}" for n, i in sorted(pair)) for pair in self.open]


def pairwise(factors, rng, valid=lambda row: True):
    """Returns rows (dicts of values) with every pair that `valid` allows. `rng` is a random.Random."""
    if len(factors) == 1:
        return [{name: value} for name, values in factors.items() for value in values]
    pairs, rows = Pairs(factors, valid), []
    while pairs.open:
        row = pairs.row(rng.choice(list(pairs.open)), rng)
        if row:
            rows.append(row)
            pairs.meet(row)
    return rows


def rows(factors, count, rng, valid=lambda row: True):
    """Returns at least `count` rows: covering arrays, of which only the last may be incomplete, unless it is the first."""
    found = pairwise(factors, rng, valid)
    while len(found) < count:
        found += pairwise(factors, rng, valid)[: count - len(found)]
    return found
