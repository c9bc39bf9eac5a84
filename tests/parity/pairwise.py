"""Covering arrays: rows in which every (valid) pair of values of two factors appears."""

from itertools import combinations


def _key(first, second):
    """A pair of (factor, index of value), in a fixed order."""
    return (first, second) if first < second else (second, first)


def _fill(seed_pair, names, factors, uncovered, rng):
    """One row that holds `seed_pair` and, greedily, as many other uncovered pairs as it can."""
    row = dict(seed_pair)
    for name in rng.sample(names, len(names)):
        if name in row:
            continue
        gains = [
            sum(_key((name, i), item) in uncovered for item in row.items()) + rng.random()
            for i in range(len(factors[name]))
        ]
        row[name] = gains.index(max(gains))
    return row


def pairwise(factors, rng, valid=lambda row: True, attempts=40):
    """Rows (dicts of values) covering every pair that `valid` allows; `rng` is a random.Random."""
    names = list(factors)
    if len(names) == 1:
        return [{names[0]: value} for value in factors[names[0]]]
    uncovered = {
        _key((a, i), (b, j)): None
        for a, b in combinations(names, 2)
        for i in range(len(factors[a]))
        for j in range(len(factors[b]))
    }
    rows = []
    while uncovered:
        seed_pair = rng.choice(list(uncovered))
        for _ in range(attempts):
            picks = _fill(seed_pair, names, factors, uncovered, rng)
            row = {name: factors[name][picks[name]] for name in names}
            if valid(row):
                rows.append(row)
                for a, b in combinations(picks.items(), 2):
                    uncovered.pop(_key(a, b), None)
                break
        else:
            uncovered.pop(seed_pair)
    return rows


def rows(factors, count, rng, valid=lambda row: True):
    """At least `count` rows: whole covering arrays, the last one cut, but never the first."""
    found = pairwise(factors, rng, valid)
    while len(found) < count:
        found += pairwise(factors, rng, valid)[: count - len(found)]
    return found
