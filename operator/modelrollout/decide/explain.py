"""One sentence for people about a judgement. Pure.

Evidence is never called a probability: it is a number with a limit.
"""

from dataclasses import dataclass
from math import inf

from modelrollout.decide import mixture
from modelrollout.decide.burn import Burning
from modelrollout.decide.preview import Preview
from modelrollout.decide.service_burn import how_fast
from modelrollout.domain.analysis import AnalysisSettings, Mode
from modelrollout.domain.judgement import Action, Figures
from modelrollout.domain.tally import Tally

REPLAYED = "The rollout's evidence is read again from the metrics; until that is done nothing is decided."
RESTARTED = "Its evidence was lost and goes on from what status kept."


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """Requests and errors of the last blocks, and how many seconds those are."""

    errors: Tally
    span: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """Slow requests at this weight, and which rate of them is allowed."""

    metric: str
    edge: float
    allowed: float
    counts: Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a sentence is made of."""

    action: Action
    reason: str
    cause: str
    weight: int
    figures: Figures | None
    latest: Latest
    preview: Preview | None
    beyond: Beyond | None = None
    burn: float | None = None
    """How many times too fast, where that took it back."""
    service: Burning | None = None
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
            return f"Rolled back at {weight} %: {_why_back(told, settings)}."
        case Action.ADVANCE if told.reason == "proven":
            return f"Advancing from {weight} %: proven not worse{_beside(figures)}."
        case Action.ADVANCE:
            unproven = f"Advancing from {weight} % at the deadline: no evidence of a regression, not proven"
            return f"{unproven}{_needed(told)}.{_doubtful(figures)}"
        case Action.HOLD:
            limit = _duration(settings.hold_timeout.total_seconds())
            wish = f" Held longer than {limit}: promote or abort." if told.expired else ""
            return f"Holding at {weight} %: {_why_hold(told, settings)}.{wish}"
        case _:
            waiting = {
                "routeNotAccepted": ", waiting for the route to be accepted",
                "trafficSplitMismatch": ", waiting for the traffic to follow the weight",
                "inFlightPiling": ", waiting for requests that the candidate has not answered, more than "
                "twice stable's for each answered one",
            }.get(told.reason, "")
            return f"Testing at {weight} %: no decision yet{_beside(figures)}{waiting}.{_outlook(told.preview)}"


def uncompared(weight: int) -> str:
    return f"At {weight} %: nothing to compare with, only the guardrails watch."


def _why_back(told: Told, settings: AnalysisSettings) -> str:
    if told.reason == "guardrail:slo":
        return f"{_failing(told.latest)}, and errorRateMax is {_rate(settings.guardrails.error_rate_max)}"
    if told.reason == "guardrail:latencySlo" and told.beyond is not None:
        return f"{_slow(told.beyond)}, and its slo allows {_rate(told.beyond.allowed)}"
    if told.reason == "guardrail:burn" and told.burn is not None:
        limits = settings.guardrails
        return (
            f"{_failing(told.latest)}: the error budget of slo {limits.slo:g} burns {told.burn:.3g} times too fast "
            f"over 5 min, and the limit is {limits.burn:g}"
        )
    if told.reason.startswith("guardrail:"):
        return _guardrail(told.reason)
    compared = _comparison(told.figures) if told.figures else "the candidate is worse"
    return {
        "inconclusive": f"not proven at the deadline (onInconclusive: rollback); {compared}",
        "holdTimeout": f"held for too long (onHoldTimeout: rollback); {compared}",
    }.get(told.reason, compared)


def _guardrail(reason: str) -> str:
    return f"guardrail {reason.removeprefix('guardrail:')}"


def _failing(latest: Latest) -> str:
    errors = latest.errors
    canary = errors.x_canary / errors.n_canary if errors.n_canary > 0 else 0.0
    told = f"candidate fails {_rate(canary)} of its requests ({_count(errors.x_canary)} of {_count(errors.n_canary)})"
    stable = f", stable {_rate(errors.x_stable / errors.n_stable)}" if errors.n_stable > 0 else ""
    return f"{told}{stable} in the last {_duration(latest.span)}"


def _slow(beyond: Beyond) -> str:
    counts = beyond.counts
    canary = counts.x_canary / counts.n_canary if counts.n_canary > 0 else 0.0
    told = (
        f"`{beyond.metric}` above {beyond.edge:g} s: candidate {_rate(canary)} "
        f"({_count(counts.x_canary)} of {_count(counts.n_canary)})"
    )
    stable = f", stable {_rate(counts.x_stable / counts.n_stable)}" if counts.n_stable > 0 else ""
    return f"{told}{stable} at this weight"


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
    if told.reason == "serviceBurning" and told.service is not None:
        return f"{how_fast(told.service, settings)}; it goes on by itself when that is over"
    if told.reason == "stableUnhealthy" and told.beyond is not None:
        return (
            f"{_slow(told.beyond)}: both are above the {_rate(told.beyond.allowed)} that its slo allows, so it is not "
            "the candidate alone; look at what both need, or widen the slo if that is normal"
        )
    limit = _rate(settings.guardrails.error_rate_max)
    return {
        "stableUnhealthy": f"{_failing(told.latest)}: both are above errorRateMax {limit}, so it is not the candidate "
        "alone; look at what both need, or raise spec.analysis.guardrails.errorRateMax if that is normal",
        "budgetSpent": "the candidate has spent more than spec.analysis.guardrails.maxBudgetShare "
        f"({_rate(settings.guardrails.max_budget_share)}) of a month's error budget; promote or abort",
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
    return (
        f"`{_metric(figures)}` candidate {_rate(figures.value)} "
        f"({_count(counts.x_canary)} of {_count(counts.n_canary)}), "
        f"stable {_rate(figures.stable_value)} ({_count(counts.x_stable)} of {_count(counts.n_stable)}) "
        f"over the same {_duration(figures.span)}; {_ratio(figures)}tolerated {_rate(figures.threshold)}; "
        f"evidence {_strength(figures.log_evidence)}, limit {_strength(figures.log_limit)}"
    )


def _ratio(figures: Figures) -> str:
    told = f"ratio {figures.value / figures.stable_value:.1f}" if figures.value and figures.stable_value else "ratio"
    if figures.interval is None:
        return f"{told}, " if told != "ratio" else ""
    low, high = figures.interval
    span = f"above {low:.2g}" if high == inf else f"below {high:.2g}" if low == 0 else f"{low:.2g}-{high:.2g}"
    return f"{told} (95 % interval {span}), "


def _beside(figures: Figures | None) -> str:
    if figures is None or figures.value is None or figures.stable_value is None:
        return ""
    return (
        f" (`{_metric(figures)}` candidate {_rate(figures.value)} of {_count(figures.counts.n_canary)}, "
        f"stable {_rate(figures.stable_value)} of {_count(figures.counts.n_stable)})"
    )


def _doubtful(figures: Figures | None) -> str:
    """A rate that would be too high, were it not of so few requests: worth a look."""
    if figures is None or figures.value is None or figures.threshold is None or figures.value <= figures.threshold:
        return ""
    return (
        f" Watch `{_metric(figures)}`: candidate {_rate(figures.value)} of {_count(figures.counts.n_canary)} is above "
        f"the tolerated {_rate(figures.threshold)}, by too few requests to tell."
    )


def _needed(told: Told) -> str:
    """How much traffic this step would have needed."""
    ahead = told.preview
    if ahead is None or ahead.requests is None:
        return ""
    return f" ({_rise(ahead)} needs {_count(ahead.requests)} candidate requests, {_count(told.n_canary)} seen)"


def _outlook(ahead: Preview | None) -> str:
    """What this step can find, before it is waited for."""
    if ahead is None:
        return ""
    if ahead.requests is None:
        return f" {_rise(ahead).capitalize()} would be within the margin."
    when = "" if ahead.seconds is None else f", {_duration(ahead.seconds)} at the traffic seen"
    told = f" {_rise(ahead).capitalize()} takes about {_count(ahead.requests)} candidate requests to find{when}."
    if ahead.fits:
        return told
    return f"{told} The deadline is {_duration(ahead.deadline)}: raise it, the weight or the traffic to find that."


def _rise(ahead: Preview) -> str:
    return "a doubling of errors" if ahead.stable_rate > 0 else f"a rise of errors from 0 to {_rate(ahead.canary_rate)}"


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
