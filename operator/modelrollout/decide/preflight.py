"""What a first look at the metrics means: told before the first user is sent to the candidate. Pure.

What can never work keeps the first step from beginning: a query that is refused, nothing that is scraped, series that
are absent while requests flow. What can only not be decided in time is told. Messages carry the numbers of one look,
which stays the same until the next, so that they cost no write of their own.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from math import inf, isclose

from modelrollout.decide import mixture
from modelrollout.decide.blocks import read_block
from modelrollout.decide.increments import spacing
from modelrollout.decide.preview import DOUBLED, requests_to_detect
from modelrollout.domain.analysis import AnalysisSettings, StepTiming
from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.metrics import ERRORS, Margin, MetricSettings
from modelrollout.domain.polls import REQUESTS, TARGETS, Arms, Poll, ProviderFault
from modelrollout.domain.preflight import Absent, NoBound, Preflight

LOOKED_AT = timedelta(minutes=5)
"""Long enough to see what traffic there is, short enough to be of now."""
AGAIN = timedelta(seconds=15)
"""After a look that keeps the first step from beginning."""
SCRAPED_WITHIN = timedelta(seconds=60)
"""After this long a ready pod has been discovered and scraped, at the longest interval that is allowed for."""
FRESH, SCRAPES = 15.0, 3
"""Seconds and scrapes after which samples are late: more than a target that answers slowly or misses one."""
FLOWING = 20
"""Requests of stable from which on a series that each of them would raise is absent, not late."""


def seen(poll: Poll, arms: Arms, settings: AnalysisSettings, series: Mapping[str, Absent]) -> Preflight:
    """The facts of one look. `series`: per query what it asks for."""
    start = poll.at - LOOKED_AT.total_seconds()
    block = read_block(poll, arms, start=start, scrape_interval=LOOKED_AT.total_seconds(), warmup=0.0)
    tally = block.errors(arms)
    stable = arms.stable.revision
    absent = tuple(
        series[name]
        for name, answer in poll.answers.items()
        if isinstance(answer, tuple)
        and name.partition("/")[0] not in (TARGETS, REQUESTS)
        and _has_to_be_there(name, settings)
        and not any(each.revision == stable for each in answer)
    )
    return Preflight(
        at=poll.at,
        seconds=LOOKED_AT.total_seconds(),
        requests=tally.n_stable,
        bad=tally.x_stable,
        faults=tuple(dict.fromkeys(answer for answer in poll.answers.values() if isinstance(answer, ProviderFault))),
        absent=absent,
        uncounted=tuple(_uncounted(poll, stable, settings)),
        unscraped=_unscraped(poll, arms, series),
        late=_late(poll),
        needs=series[REQUESTS].needs if REQUESTS in series else "",
    )


def _has_to_be_there(name: str, settings: AnalysisSettings) -> bool:
    """Series of bad ones are born with the first; what no advance waits for may be absent, too."""
    metric, _, part = name.partition("/")
    needed = {each.name for each in settings.metrics if each.required_for_advance}
    return part != "bad" and metric in needed


def _uncounted(poll: Poll, stable: str, settings: AnalysisSettings) -> Iterator[NoBound]:
    for metric in settings.metrics:
        answer = poll.answers.get(metric.name)
        counted = answer if isinstance(answer, tuple) else ()
        bounds = sorted({each.le for each in counted if each.revision == stable and each.le not in (None, inf)})
        for field, edge in _named_edges(metric) if bounds else ():
            if not any(isclose(edge, bound, rel_tol=1e-9) for bound in bounds):
                below, above = [b for b in bounds if b < edge][-1:], [b for b in bounds if b > edge][:1]
                yield NoBound(metric=metric.name, field=field, edge=edge, nearest=(*below, *above))


def _named_edges(metric: MetricSettings) -> Iterator[tuple[str, float]]:
    yield from (("edges", edge) for edge in metric.edges or ())
    if metric.slo is not None:
        yield "slo.within", metric.slo.within


def _unscraped(poll: Poll, arms: Arms, series: Mapping[str, Absent]) -> str:
    """The gateway, or all of stable's ready pods, where Prometheus has no target that answers for any of them."""
    answer = poll.answers.get(TARGETS)
    if not isinstance(answer, tuple):
        return ""
    up = {each.target for each in answer if any(sample.v > 0 for sample in each.samples)}
    ready_since = poll.at - SCRAPED_WITHIN.total_seconds()
    if arms.stable.ready_at is None or arms.stable.ready_at > ready_since:
        return ""  # too young to be missed
    if arms.stable.service and not up:
        return (
            f"Prometheus scrapes nothing that exports {series[TARGETS].series}. Let it scrape the gateway, or let the "
            "operator's administrator set MODELROLLOUT_GATEWAY to the one that is there."
        )
    grown_up = (pod for pod in arms.stable.pods if pod.ready_at is not None and pod.ready_at <= ready_since)
    ready = [pod.name for pod in grown_up if not pod.gone]
    if arms.stable.service or not ready or up & set(ready):
        return ""
    return (
        f"Prometheus has no target that is up for {ready[0]}, nor for another ready pod of stable. Let it scrape the "
        "models' pods, with namespace and pod as labels."
    )


def _late(poll: Poll) -> float:
    """Seconds since the newest sample, where that is more than some scrapes."""
    answers = [poll.answers.get(name) for name in (TARGETS, REQUESTS)]
    samples = [each.samples for answer in answers if isinstance(answer, tuple) for each in answer if each.samples]
    if not samples:
        return 0.0
    age = poll.at - max(each[-1].t for each in samples)
    return age if age > max(FRESH, SCRAPES * (spacing(samples) or 0.0)) else 0.0


def obstacle(looked: Preflight) -> Remark | None:
    """What keeps the first step from beginning, or None."""
    if looked.instruments:
        return Remark(reason=Reason.NO_METRICS, message=looked.instruments)
    lasting = next((fault for fault in looked.faults if fault.permanent), None)
    if lasting is not None:
        return Remark(reason=Reason.NO_METRICS, message=lasting.message)
    if looked.faults:
        message = f"{looked.faults[0].message} No user is sent to the candidate before it answers."
        return Remark(reason=Reason.PROVIDER_ERROR, message=message)
    if looked.unscraped:
        return Remark(reason=Reason.NO_METRICS, message=looked.unscraped)
    if looked.late:
        message = (
            f"Prometheus' newest sample is more than {_at_least(looked.late)} s older than it should be. If it is fed "
            "by remote write, let the operator's administrator raise its lag; otherwise see why it stopped scraping."
        )
        return Remark(reason=Reason.NO_DATA, message=message)
    if looked.uncounted:
        return Remark(reason=Reason.NO_METRICS, message=_without_bound(looked.uncounted[0]))
    if looked.absent and looked.requests >= FLOWING:
        missing = looked.absent[0]
        needs = f" It needs {missing.needs}." if missing.needs else ""
        message = (
            f"Requests flow, but nothing of stable exports {missing.series}, by which {missing.metric} is compared."
            f"{needs} Correct spec.analysis.metrics, or set requiredForAdvance to false there."
        )
        return Remark(reason=Reason.NO_METRICS, message=message)
    return None


def _at_least(seconds: float) -> int:
    """Roughly: a figure that changes with each look would be written with each."""
    return max((told for told in (15, 30, 60, 120, 300) if told <= seconds), default=0)


def _without_bound(missing: NoBound) -> str:
    nearest = " or ".join(f"{bound:g}" for bound in missing.nearest)
    return (
        f"spec.analysis.metrics: {missing.field} of {missing.metric}: no bucket of stable's histogram ends at "
        f"{missing.edge:g} s, so nothing counts what is slower. Write {nearest} instead, or leave it out."
    )


def outlook(looked: Preflight, settings: AnalysisSettings, timing: StepTiming, weight: int, phi: float) -> Remark:
    """What the first step can be expected to show at the traffic that was seen. `phi`: of the errors' test."""
    if looked.requests <= 0:
        needs = f" If there is traffic, its series need {looked.needs}." if looked.needs else ""
        message = f"No request of stable was seen. A step ends only with fresh requests of both.{needs}"
        return Remark(reason=Reason.NO_DATA, message=message)
    share = weight / 100
    per_second = looked.requests / looked.seconds * share
    expected = per_second * timing.deadline.total_seconds()
    if expected < settings.min_requests:
        message = (
            f"At the present traffic about {_count(expected)} requests reach the candidate at {weight} % by the "
            f"deadline, and minRequests is {_count(settings.min_requests)}: the step will hold. Raise its weight or "
            "its deadline, or lower minRequests."
        )
        return Remark(reason=Reason.LOW_SAMPLE, message=message)
    return _decidable(looked, settings, weight, phi, per_second=per_second, expected=expected)


def _decidable(
    looked: Preflight, settings: AnalysisSettings, weight: int, phi: float, *, per_second: float, expected: float
) -> Remark:
    metric = next((each for each in settings.metrics if each.name == ERRORS), None)
    if metric is None:
        return Remark(reason=Reason.NOT_ANALYSED, message=Reason.NOT_ANALYSED.meaning)
    rate = min(0.5, looked.bad / looked.requests)
    margin = metric.non_inferiority
    proof = phi * requests_to_prove(stable_rate=rate, weight=weight / 100, margin=margin, beta=settings.beta)
    found = _to_find(rate, metric, settings, weight)
    doubling = f" A doubling of its errors is found after about {_count(phi * found)}." if found else ""
    late = proof > expected
    message = (
        f"About {_count(proof)} requests of the candidate at {weight} % prove that it makes not more errors, "
        f"{_duration(proof / per_second)} at the present traffic.{doubling}"
    )
    if not late:
        return Remark(reason=Reason.NOT_ANALYSED, message=message)
    message += f" That is beyond the deadline: the step then ends by onInconclusive, {settings.on_inconclusive}."
    return Remark(reason=Reason.LOW_SAMPLE, message=message)


def _to_find(rate: float, metric: MetricSettings, settings: AnalysisSettings, weight: int) -> float | None:
    if rate <= 0:
        return None
    worse = min(1.0, DOUBLED * rate)
    return requests_to_detect(
        stable_rate=rate, canary_rate=worse, weight=weight / 100, margin=metric.regression, alpha=settings.alpha
    )


def requests_to_prove(*, stable_rate: float, weight: float, margin: Margin, beta: float) -> float:
    """Canary requests until a candidate as good as stable is proven not worse beyond the margin.

    Example: without errors, margin 0.001 and beta 0.05: (ln 20 + 2) / 0.001, about 5 000.
    """
    k = weight / (1 - weight)
    alternatives = (margin.ratio * 0.98**i for i in range(1, 400))
    best = max(mixture.log_growth(stable_rate, stable_rate, r=r, k=k, margin=margin) for r in alternatives)
    return (mixture.log_limit(beta) + 2) / best if best > 0 else inf


def _count(number: float) -> str:
    """Two figures are what one look can tell."""
    if number == inf:
        return "infinitely many"
    rounded = float(f"{number:.2g}")
    return f"{round(rounded):,}".replace(",", " ")


def _duration(seconds: float) -> str:
    if seconds == inf:
        return "for ever"
    for length, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
