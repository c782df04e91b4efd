"""One sentence for people about a judgement, and how much traffic a step needs. Pure.

Evidence is never called a probability: it is a number with a limit.
"""

from dataclasses import dataclass
from math import exp, log1p

from modelrollout.decide import mixture
from modelrollout.domain.analysis import Action, AnalysisSettings, Figures, Margin, Mode

DETECT_FACTOR = 2.0


def requests_to_detect(
    *, stable_rate: float, canary_rate: float, weight: float, margin: Margin, alpha: float
) -> float | None:
    """Candidate requests until a regression to `canary_rate` is found, at a weight of 0 to 1; None: never.

    Example: 1 % to 2 % at weight 0.2 with the default margins and alpha 0.01 needs 5 045.
    """
    if not 0 < weight < 1:
        return None
    k = weight / (1 - weight)
    rho = margin.ratio

    def growth(r: float) -> float:
        bet = (r - rho) / (rho * (1 + r * k))
        other = log1p(rho * k) - log1p(r * k)
        return canary_rate * log1p(bet) + stable_rate / k * other - margin.absolute * bet

    best = max(growth(rho * exp(0.01 + 0.02 * i)) for i in range(400))
    return (mixture.log_limit(alpha) + 2) / best if best > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a sentence is made of."""

    action: Action
    reason: str
    cause: str
    weight: int
    figures: Figures | None
    since_data: float
    n_canary: float
    expired: bool


def sentence(told: Told, settings: AnalysisSettings) -> str:
    """What happens at which weight, why, and what a person can do where it waits for one."""
    said = _said(told, settings)
    return said if settings.mode is not Mode.OBSERVE else f"Only observed. With mode enforce: {said}"


def _said(told: Told, settings: AnalysisSettings) -> str:
    weight, figures = told.weight, told.figures
    match told.action:
        case Action.ROLLBACK:
            return f"Rolled back at {weight} %: {_why_back(told.reason, figures)}."
        case Action.ADVANCE if told.reason == "proven":
            return f"Advancing from {weight} %: proven not worse{_beside(figures)}."
        case Action.ADVANCE:
            return (
                f"Advancing from {weight} % at the deadline: no evidence of a regression, not proven"
                f"{_doubling(told, settings)}."
            )
        case Action.HOLD:
            limit = _duration(settings.hold_timeout.total_seconds())
            wish = f" Held longer than {limit}: promote or abort." if told.expired else ""
            return f"Holding at {weight} %: {_why_hold(told, settings)}.{wish}"
        case _:
            waiting = {
                "routeNotAccepted": ", waiting for the route to be accepted",
                "trafficSplitMismatch": ", waiting for the traffic to follow the weight",
            }.get(told.reason, "")
            return f"Testing at {weight} %: no decision yet{_beside(figures)}{waiting}."


def uncompared(action: Action, reason: str, weight: int) -> str:
    if action is Action.ROLLBACK:
        return f"Rolled back at {weight} %: {_why_back(reason, None)}."
    return f"At {weight} %: nothing to compare with, only the guardrails watch."


def _why_back(reason: str, figures: Figures | None) -> str:
    if reason.startswith("guardrail:"):
        return f"guardrail {reason.removeprefix('guardrail:')}"
    told = _comparison(figures) if figures else "the candidate is worse"
    return {
        "inconclusive": f"not proven at the deadline (onInconclusive: rollback); {told}",
        "holdTimeout": f"held for too long (onHoldTimeout: rollback); {told}",
    }.get(reason, told)


def _why_hold(told: Told, settings: AnalysisSettings) -> str:
    since = _duration(told.since_data)
    if told.reason == "noData":
        return {
            "providerError": f"Prometheus has not answered for {since}; traffic unchanged",
            "metricMissing": "ready pods are scraped but export none of the series; check runtime.preset "
            "or analysis.source",
        }.get(
            told.cause,
            f"no candidate requests seen for {since}; check that traffic flows and that its series are scraped",
        )
    return {
        "insufficientTraffic": f"{_count(told.n_canary)} candidate requests, {_count(settings.min_requests)} needed; "
        "send more traffic, raise the weight or lower minRequests",
        "suspicious": "there are signs of a regression, not yet enough to roll back",
        "inconclusive": "neither better nor worse is proven at the deadline; promote or abort",
        "routeNotAccepted": "the route has not been accepted; look at condition TrafficReady",
        "trafficSplitMismatch": "the traffic does not follow the weight; look at the route and its gateway",
    }.get(told.reason, told.reason)


def _comparison(figures: Figures) -> str:
    counts = figures.counts
    if figures.value is None or figures.stable_value is None or figures.threshold is None:
        return f"`{_metric(figures)}` is worse"
    ratio = f"ratio {figures.value / figures.stable_value:.1f}, " if figures.stable_value > 0 else ""
    return (
        f"`{_metric(figures)}` candidate {_rate(figures.value)} "
        f"({_count(counts.x_canary)} of {_count(counts.n_canary)}), "
        f"stable {_rate(figures.stable_value)} ({_count(counts.x_stable)} of {_count(counts.n_stable)}) "
        f"over the same {_duration(figures.span)}; {ratio}tolerated {_rate(figures.threshold)}; "
        f"evidence {_strength(figures.log_evidence)}, limit {_strength(figures.log_limit)}"
    )


def _beside(figures: Figures | None) -> str:
    if figures is None or figures.value is None or figures.stable_value is None:
        return ""
    return (
        f" (`{_metric(figures)}` candidate {_rate(figures.value)} of {_count(figures.counts.n_canary)}, "
        f"stable {_rate(figures.stable_value)} of {_count(figures.counts.n_stable)})"
    )


def _doubling(told: Told, settings: AnalysisSettings) -> str:
    figures = told.figures
    if figures is None or not figures.stable_value:
        return ""
    needed = requests_to_detect(
        stable_rate=figures.stable_value,
        canary_rate=min(1.0, DETECT_FACTOR * figures.stable_value),
        weight=told.weight / 100,
        margin=next(m.regression for m in settings.metrics if m.name == figures.metric),
        alpha=settings.alpha,
    )
    return f" (a doubling needs {_count(needed)} candidate requests, {_count(told.n_canary)} seen)" if needed else ""


def _metric(figures: Figures) -> str:
    return figures.metric if figures.edge is None else f"{figures.metric} above {figures.edge:g} s"


def _rate(value: float) -> str:
    return f"{100 * value:.3g} %" if value < 0.001 else f"{100 * value:.2f} %"


def _strength(log_evidence: float) -> str:
    return "above 1 000 000" if log_evidence > 13.8 else f"{mixture.displayed(log_evidence):,.0f}".replace(",", " ")


def _count(number: float) -> str:
    return f"{round(number):,}".replace(",", " ")


def _duration(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    told = [f"{n} {unit}" for n, unit in ((hours, "h"), (minutes, "min"), (rest, "s")) if n]
    return " ".join(told) or "0 s"
