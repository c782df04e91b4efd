"""Quality that is no count of requests: scores, and gauges that an evaluator writes once per window.

Section 5 of the analysis. A score becomes a count of losses and is then tested like errors. A gauge is one
value per window of either arm; the sign test asks only which arm was worse, so it needs no distribution.
Gauges may hold a rollout; they neither roll back by themselves nor prove anything. Pure.

*Sign test*: for each bet lam the product over windows of 1 + lam where canary was worse than stable by more
than the margin, else 1 - lam; the evidence is the mean over lam = 0.3, 0.6, 0.9. While the chance of being
worse is at most one half at each window, whatever came before, its expectation is at most 1.

*Drift*: the population stability index of two samples of one distribution is (bins - 1)(1/n + 1/m) on average,
so below 20 (bins - 1) / limit samples of either arm it says more about chance than about drift.

Worked examples: nine worse windows in a row give ln E = 4.897869, five give E = 12.98; 10 bins of 500 and
2000 samples give a mean index of 0.0225; three answers with scores from 1 to 5 that sum to 9 are
x = (5 * 3 - 9) / (5 - 1) = 1.5 bad of 3.
"""

from collections.abc import Sequence
from math import ceil, isnan, log, log1p

from modelrollout.decide.mixture import logsumexp

BETS = (0.3, 0.6, 0.9)
ROUNDING = 1e-6
"""Losses per request by which sums of floats may miss the ends of the scale."""


def no_window_yet() -> tuple[float, ...]:
    """The log products of the sign test before the first window."""
    return (0.0,) * len(BETS)


def window_added(products: Sequence[float], difference: float | None, *, margin: float) -> tuple[float, ...]:
    """The log products after one more window; `difference` is canary - stable, larger is worse, None is missing.

    Windows must not overlap, and each is given once.
    """
    if difference is None or isnan(difference):
        return tuple(products)
    sign = 1 if difference > margin else -1
    return tuple(product + log1p(sign * bet) for product, bet in zip(products, BETS, strict=True))


def log_sign(products: Sequence[float]) -> float:
    """Log evidence that the canary is worse than stable by more than the margin in more than half of the windows."""
    return logsumexp(products) - log(len(BETS))


def mean_index(bins: int, n: float, m: float) -> float:
    """The population stability index that `n` and `m` samples of one distribution show on average."""
    return (bins - 1) * (1 / n + 1 / m)


def least_samples(bins: int, limit: float) -> int:
    """Samples that each arm needs before an index above `limit` says something."""
    return ceil(20 * (bins - 1) / limit)


def losses(total: float, score_sum: float, *, low: float, high: float) -> float:
    """Scores in [low, high], high being good, as a number of bad requests between 0 and `total`.

    A sum that such scores cannot have gives a number outside, which no block accepts.
    """
    x = (high * total - score_sum) / (high - low)
    slack = ROUNDING * total
    return min(max(x, 0.0), total) if -slack <= x <= total + slack else x
