from dataclasses import replace
from math import log

from modelrollout.decide.explain import Told, requests_to_detect, sentence
from modelrollout.domain.analysis import Action, AnalysisSettings, Figures, Margin, Tally

MARGIN = Margin(ratio=1.25, absolute=0.0002)
FIGURES = Figures(
    metric="errors",
    edge=None,
    value=170 / 9284,
    stable_value=379 / 37464,
    threshold=1.25 * 379 / 37464 + 0.0002,
    counts=Tally(x_canary=170, n_canary=9284, x_stable=379, n_stable=37464),
    span=465,
    log_evidence=log(131),
    log_limit=log(100),
    query="traefik_service_requests_total{…}[60s]",
)
TOLD = Told(
    action=Action.ROLLBACK,
    reason="regression",
    cause="",
    weight=20,
    figures=FIGURES,
    since_data=0,
    n_canary=9284,
    expired=False,
)
SETTINGS = AnalysisSettings()


def test_a_rollback_is_told_with_both_rates_over_the_same_span() -> None:
    assert sentence(TOLD, SETTINGS) == (
        "Rolled back at 20 %: `errors` candidate 1.83 % (170 of 9 284), stable 1.01 % (379 of 37 464) "
        "over the same 7 min 45 s; ratio 1.8, tolerated 1.28 %; evidence 131, limit 100."
    )


def test_an_advance_at_the_deadline_says_that_nothing_is_proven_and_what_it_would_take() -> None:
    told = replace(
        TOLD, action=Action.ADVANCE, reason="deadline", figures=replace(FIGURES, stable_value=0.01), n_canary=2100
    )
    assert sentence(told, SETTINGS) == (
        "Advancing from 20 % at the deadline: no evidence of a regression, not proven "
        "(a doubling needs 5 045 candidate requests, 2 100 seen)."
    )


def test_a_hold_says_what_to_do() -> None:
    hold = replace(TOLD, action=Action.HOLD, reason="insufficientTraffic", figures=None, n_canary=40, expired=True)
    assert sentence(hold, SETTINGS) == (
        "Holding at 20 %: 40 candidate requests, 100 needed; send more traffic, raise the weight or lower "
        "minRequests. Held longer than 30 min: promote or abort."
    )
    down = replace(hold, reason="noData", cause="providerError", since_data=180, expired=False)
    assert sentence(down, SETTINGS) == "Holding at 20 %: Prometheus has not answered for 3 min; traffic unchanged."


def test_a_guardrail_is_named() -> None:
    assert sentence(replace(TOLD, reason="guardrail:restarts"), SETTINGS) == "Rolled back at 20 %: guardrail restarts."


def test_an_edge_of_latency_is_named_with_its_seconds() -> None:
    told = sentence(replace(TOLD, figures=replace(FIGURES, metric="latency", edge=0.25)), SETTINGS)
    assert "`latency above 0.25 s` candidate 1.83 %" in told


def test_a_regression_within_the_margin_is_never_found() -> None:
    assert requests_to_detect(stable_rate=0.01, canary_rate=0.01, weight=0.2, margin=MARGIN, alpha=0.01) is None
    assert requests_to_detect(stable_rate=0.01, canary_rate=0.5, weight=1.0, margin=MARGIN, alpha=0.01) is None
