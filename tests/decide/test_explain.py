from dataclasses import replace
from math import inf, log
from typing import Any

import pytest

from modelrollout.decide.explain import Latest, Told, sentence
from modelrollout.decide.preview import Preview
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.judgement import Action, Figures
from modelrollout.domain.tally import Tally

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
    interval=(1.3, 2.5),
    query="traefik_service_requests_total{…}[60s]",
)
PREVIEW = Preview(stable_rate=0.01, canary_rate=0.02, requests=5045.0, seconds=505.0, deadline=600.0)
TOLD = Told(
    action=Action.ROLLBACK,
    reason="regression",
    cause="",
    weight=20,
    figures=FIGURES,
    preview=PREVIEW,
    latest=Latest(errors=FIGURES.counts, span=FIGURES.span),
    since_data=0,
    n_canary=9284,
    expired=False,
)
SETTINGS = AnalysisSettings()


def test_a_rollback_is_told_with_both_rates_over_the_same_span() -> None:
    assert sentence(TOLD, SETTINGS) == (
        "Rolled back at 20 %: `errors` candidate 1.83 % (170 of 9 284), stable 1.01 % (379 of 37 464) "
        "over the same 7 min 45 s; ratio 1.8 (95 % interval 1.3-2.5), tolerated 1.28 %; evidence 131, limit 100."
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"interval": None}, "; ratio 1.8, tolerated"),
        ({"interval": (1.3, inf)}, "; ratio 1.8 (95 % interval above 1.3), tolerated"),
        ({"interval": (0.0, 12.3)}, "; ratio 1.8 (95 % interval below 12), tolerated"),
        ({"stable_value": 0.0, "interval": (3.1, inf)}, "; ratio (95 % interval above 3.1), tolerated"),
        ({"stable_value": 0.0, "interval": None}, "; tolerated"),
    ],
)
def test_a_ratio_is_told_as_far_as_it_is_known(changes: dict[str, Any], told: str) -> None:
    assert told in sentence(replace(TOLD, figures=replace(FIGURES, **changes)), SETTINGS)


def test_an_advance_at_the_deadline_says_that_nothing_is_proven_and_what_it_would_take() -> None:
    fine = replace(FIGURES, value=0.01, counts=replace(FIGURES.counts, x_canary=93))
    told = replace(TOLD, action=Action.ADVANCE, reason="deadline", n_canary=2100, figures=fine)
    assert sentence(told, SETTINGS) == (
        "Advancing from 20 % at the deadline: no evidence of a regression, not proven "
        "(a doubling of errors needs 5 045 candidate requests, 2 100 seen)."
    )


def test_an_advance_with_a_rate_above_the_tolerated_one_asks_for_a_look() -> None:
    slow = replace(FIGURES, metric="latency", edge=0.05, value=0.15, threshold=0.1)
    told = replace(TOLD, action=Action.ADVANCE, reason="deadline", n_canary=352, figures=slow)
    assert sentence(told, SETTINGS).endswith(
        "352 seen). Watch `latency above 0.05 s`: candidate 15.00 % of 9 284 is above the tolerated 10.00 %, "
        "by too few requests to tell."
    )


@pytest.mark.parametrize(
    ("preview", "told"),
    [
        (
            PREVIEW,
            ". A doubling of errors takes about 5 045 candidate requests to find, 8 min 25 s at the traffic seen.",
        ),
        (
            replace(PREVIEW, seconds=3660.0),
            " 1 h 1 min at the traffic seen. The deadline is 10 min: raise it, the weight or the traffic to find that.",
        ),
        (
            replace(PREVIEW, seconds=None),
            " to find. The deadline is 10 min: raise it, the weight or the traffic to find that.",
        ),
        (replace(PREVIEW, requests=None), ". A doubling of errors would be within the margin."),
        (
            replace(PREVIEW, stable_rate=0.0, canary_rate=0.01),
            " from 0 to 1.00 % takes about 5 045 candidate requests to find, 8 min 25 s at the traffic seen.",
        ),
        (None, "stable 1.01 % of 37 464)."),
    ],
)
def test_while_it_waits_it_says_what_can_be_found(preview: Preview | None, told: str) -> None:
    testing = replace(TOLD, action=Action.CONTINUE, reason="", preview=preview)
    assert sentence(testing, SETTINGS).startswith("Testing at 20 %: no decision yet (`errors` candidate 1.83 %")
    assert sentence(testing, SETTINGS).endswith(told)


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
