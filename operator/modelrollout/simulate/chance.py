"""Counts drawn by chance, exactly and without numpy: Poisson, binomial, and a number shared out over several places.

Large means take Hörmann's transformed rejection ("The transformed rejection method for generating Poisson random
variables", 1993, algorithm PTRS; "The generation of binomial random variates", 1993, algorithm BTRS); small ones are
inverted or counted by their gaps. The same `Random` in the same state draws the same.
"""

from collections.abc import Sequence
from math import exp, floor, lgamma, log, log1p, sqrt
from random import Random

_FEW = 10.0
"""Means below this are drawn directly."""


def poisson(rng: Random, mean: float) -> int:
    """How many of very many unlikely things happened, where `mean` happen on average."""
    if mean < _FEW:
        return _inverted_poisson(rng, mean)
    root, log_mean = sqrt(mean), log(mean)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    accepted = 0.9277 - 3.6224 / (b - 2)
    while True:
        u, v = rng.random() - 0.5, 1.0 - rng.random()
        us = 0.5 - abs(u)
        if us <= 0:
            continue
        k = floor((2 * a / us + b) * u + mean + 0.43)
        if us >= 0.07 and v <= accepted:
            return k
        if k < 0 or (us < 0.013 and v > us):
            continue
        if log(v * inverse_alpha / (a / (us * us) + b)) <= k * log_mean - mean - lgamma(k + 1):
            return k


def _inverted_poisson(rng: Random, mean: float) -> int:
    if mean <= 0:
        return 0
    k, term, left = 0, exp(-mean), rng.random()
    while left > term and k < 1000:
        left -= term
        k += 1
        term *= mean / k
    return k


def binomial(rng: Random, n: int, p: float) -> int:
    """How many of `n` independent things with chance `p` each happened."""
    if n <= 0 or p <= 0:
        return 0
    if p >= 1:
        return n
    if p > 0.5:
        return n - binomial(rng, n, 1 - p)
    if n * p < _FEW:
        return _counted_binomial(rng, n, p)
    return _rejected_binomial(rng, n, p)


def _counted_binomial(rng: Random, n: int, p: float) -> int:
    """By the gaps between those that happened: cheap where they are rare."""
    scale = 1 / log1p(-p)
    found, at = 0, 0
    while True:
        at += floor(log(1.0 - rng.random()) * scale) + 1
        if at > n:
            return found
        found += 1


def _rejected_binomial(rng: Random, n: int, p: float) -> int:
    spread = sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    c = n * p + 0.5
    accepted = 0.92 - 4.2 / b
    alpha = (2.83 + 5.1 / b) * spread
    log_odds, mode = log(p / (1 - p)), floor((n + 1) * p)
    peak = lgamma(mode + 1) + lgamma(n - mode + 1)
    while True:
        u, v = rng.random() - 0.5, 1.0 - rng.random()
        us = 0.5 - abs(u)
        if us <= 0:
            continue
        k = floor((2 * a / us + b) * u + c)
        if k < 0 or k > n:
            continue
        if us >= 0.07 and v <= accepted:
            return k
        if log(v * alpha / (a / (us * us) + b)) <= peak - lgamma(k + 1) - lgamma(n - k + 1) + (k - mode) * log_odds:
            return k


def shared_out(rng: Random, n: int, shares: Sequence[float]) -> list[int]:
    """`n` things over places with these shares, which add up to 1."""
    counts, left, remaining = [], n, 1.0
    for share in shares[:-1]:
        here = binomial(rng, left, min(1.0, share / remaining)) if left and remaining > 0 else 0
        counts.append(here)
        left -= here
        remaining -= share
    return [*counts, left]
