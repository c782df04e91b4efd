"""How much traffic it takes to find a doubling of errors, before it is waited for."""

from dataclasses import replace
from datetime import timedelta
from math import exp, log, log1p

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.decide.counted import Counted
from modelrollout.decide.evidence import begin, enter_step
from modelrollout.decide.growth import grown
from modelrollout.decide.judge import judge
from modelrollout.decide.preview import FROM_NOTHING, preview, requests_to_detect
from modelrollout.domain.analysis import AnalysisSettings, StepTiming
from modelrollout.domain.evidence import Evidence, Scatter, StableBefore
from modelrollout.domain.metrics import Margin
from modelrollout.domain.tally import Tally

SETTINGS = AnalysisSettings()
TIMING = StepTiming.of(SETTINGS)
MARGIN = Margin(ratio=1.25, absolute=0.0002)
PAST = StableBefore(requests=180_000, bad=1800, seconds=3600)
"""50 requests a second, one in a hundred bad."""


def begun(before: StableBefore | None = PAST, *, phi: float = 1.0, weight: int = 20) -> Evidence:
    evidence = begin(SETTINGS, stable="old", candidate="new", attempt="1", steps=3, at=0)
    (test,) = evidence.metrics[0].tests
    errors = replace(evidence.metrics[0], tests=(replace(test, scatter=Scatter(phi=phi, known=True)),))
    known = replace(evidence, before=before, metrics=(errors, *evidence.metrics[1:]))
    return enter_step(known, SETTINGS, step=0, weight=weight, at=0)


@given(
    st.floats(1e-5, 0.2),
    st.floats(0.5, 100),
    st.floats(0.01, 0.95),
    st.floats(1, 4),
    st.sampled_from([0, 0.0002, 0.01]),
)
def test_the_alternative_that_grows_fastest_is_found_without_trying_all(
    stable: float, times: float, weight: float, rho: float, delta: float
) -> None:
    canary, k = min(1.0, stable * times), weight / (1 - weight)

    def growth(r: float) -> float:
        bet = (r - rho) / (rho * (1 + r * k))
        other = log1p(rho * k) - log1p(r * k)
        return canary * log1p(bet) + stable / k * other - delta * bet

    best = max(growth(rho * exp(0.01 + 0.02 * i)) for i in range(400))
    found = requests_to_detect(
        stable_rate=stable, canary_rate=canary, weight=weight, margin=Margin(ratio=rho, absolute=delta), alpha=0.01
    )
    if best > 1e-12:
        assert found == pytest.approx((log(100) + 2) / best)


def test_a_regression_within_the_margin_is_never_found() -> None:
    assert requests_to_detect(stable_rate=0.01, canary_rate=0.01, weight=0.2, margin=MARGIN, alpha=0.01) is None
    assert requests_to_detect(stable_rate=0.01, canary_rate=0.5, weight=1.0, margin=MARGIN, alpha=0.01) is None


def test_the_first_step_is_foreseen_from_stables_past() -> None:
    ahead = preview(begun(), SETTINGS, TIMING)
    assert ahead is not None
    assert ahead.requests == pytest.approx(5045, abs=1)
    assert ahead.seconds == pytest.approx(504.5, abs=0.1), "at 10 candidate requests a second"
    assert ahead.fits


def test_bursts_make_it_longer_and_a_step_that_cannot_deliver_is_flagged() -> None:
    evidence = begun(phi=2.0)
    ahead = preview(evidence, SETTINGS, TIMING)
    assert ahead is not None
    assert ahead.requests == pytest.approx(10090, abs=1)
    assert not ahead.fits
    judgement = judge(evidence, SETTINGS, TIMING, 1, shifted=True)
    assert "StepTooShort" in judgement.flags
    assert "10 090 candidate requests to find" in judgement.sentence
    long = StepTiming.of(SETTINGS, deadline=timedelta(hours=1))
    assert "StepTooShort" not in judge(evidence, SETTINGS, long, 1, shifted=True).flags


def test_once_stable_has_had_requests_enough_the_rollout_itself_is_asked() -> None:
    evidence = begun()
    for i in range(3):
        errors = Tally(x_canary=1, n_canary=100, x_stable=8, n_stable=400)
        block = Counted(start=10.0 * i, end=10.0 * i + 10, errors=errors, histograms={}, carried=())
        evidence = grown(evidence, SETTINGS, block)
    ahead = preview(evidence, SETTINGS, TIMING)
    assert ahead is not None
    assert ahead.stable_rate == 0.02
    assert ahead.requests is not None
    assert ahead.seconds == pytest.approx(ahead.requests / 10)


def test_where_stable_never_failed_a_rise_to_one_per_cent_is_looked_for() -> None:
    ahead = preview(begun(replace(PAST, bad=0.0)), SETTINGS, TIMING)
    assert ahead is not None
    assert (ahead.stable_rate, ahead.canary_rate) == (0.0, FROM_NOTHING)
    assert ahead.requests is not None


@pytest.mark.parametrize("before", [None, StableBefore()], ids=["not asked", "nothing seen"])
def test_where_nothing_is_known_of_stable_nothing_is_foreseen(before: StableBefore | None) -> None:
    assert preview(begun(before), SETTINGS, TIMING) is None


def test_where_errors_are_not_compared_nothing_is_foreseen() -> None:
    latency = replace(SETTINGS, metrics=SETTINGS.metrics[1:])
    evidence = begin(latency, stable="old", candidate="new", attempt="1", steps=3, at=0)
    assert preview(replace(evidence, before=PAST), latency, TIMING) is None
