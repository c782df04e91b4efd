"""How evidence begins, enters a step and grows with each poll.

Pure and replayable: the same polls give the same evidence to the last bit, a poll absorbed before
changes nothing, and after a restart the missed times of the grid are asked for again. What a poll
could not answer leaves everything as it was, except for the clocks that say so.
"""

from dataclasses import replace
from datetime import timedelta
from math import inf

from modelrollout.decide import blocks, limits, mixture
from modelrollout.decide.blocks import OpenBlock
from modelrollout.decide.counted import counted
from modelrollout.decide.growth import ALL, LONG_STEP, fresh_tests, grown, with_new_part
from modelrollout.decide.increments import spacing
from modelrollout.domain.analysis import AnalysisSettings, Mode
from modelrollout.domain.evidence import Evidence, MetricEvidence, Scatter, StepEntered
from modelrollout.domain.metrics import Kind, MetricSettings
from modelrollout.domain.polls import BAD, IN_FLIGHT, REQUESTS, TARGETS, Arms, Poll, ProviderFault
from modelrollout.domain.tally import NO_REQUESTS

DEFAULT_SCRAPE_INTERVAL = 15.0
PROBING_POLLS = 5
PROBING_PERIOD = 1.0
OLDEST_BLOCK = 3600.0
ASK_AGAIN = 5.0
"""Seconds after a replay went without an answer."""


def begin(
    settings: AnalysisSettings,
    *,
    stable: str,
    candidate: str,
    attempt: str,
    steps: int,
    at: float,
    last_deadline: timedelta | None = None,
) -> Evidence:
    """Evidence of a rollout of `steps` weights below 100; it starts with the first one that it enters.

    `last_deadline`: of the last step, where it has one of its own.
    """
    unseen = settings.overdispersion.unseen
    deadline = settings.deadline if last_deadline is None else last_deadline
    longer = max(0, int(deadline.total_seconds() // LONG_STEP) - 1)
    return Evidence(
        stable=stable,
        candidate=candidate,
        attempt=attempt,
        started_at=at,
        steps=steps,
        planned_parts=max(1, steps + longer),
        block_start=at,
        last_data_at=at,
        metrics=tuple(_untested(metric, Scatter(phi=unseen)) for metric in settings.metrics),
        limits=limits.untested(settings),
    )


def _untested(metric: MetricSettings, scatter: Scatter) -> MetricEvidence:
    edges = metric.edges if metric.kind is Kind.HISTOGRAM else None
    bare = MetricEvidence(name=metric.name, kind=metric.kind, edges=edges, tests=())
    return replace(bare, tests=fresh_tests(bare, 0, scatter))


def fits(evidence: Evidence, settings: AnalysisSettings) -> bool:
    """Whether the evidence was gathered for these metrics; if not, begin afresh."""
    same = [(m.name, m.kind) for m in evidence.metrics] == [(m.name, m.kind) for m in settings.metrics]
    return same and [(e.metric, e.edge) for e in evidence.limits] == [(e.metric, e.edge) for e in settings.limits()]


def is_compared(evidence: Evidence, settings: AnalysisSettings) -> bool:
    """Whether both revisions take traffic at all; at 0 and 100 % there is nothing to compare with."""
    return settings.mode is not Mode.NONE and evidence.step >= 0 and 0 < evidence.weight < 100


def is_watched(evidence: Evidence, settings: AnalysisSettings) -> bool:
    """Whether the candidate's requests are counted: compared, or at 100 % held against its limits alone."""
    return settings.mode is not Mode.NONE and evidence.step >= 0 and evidence.weight > 0


def enter_step(evidence: Evidence, settings: AnalysisSettings, *, step: int, weight: int, at: float) -> Evidence:
    """The weight was written at `at`: the open block is dropped, proof begins afresh, a new part starts.

    Saying the same again changes nothing; only the step's number may change, when steps are edited in flight. It is
    the same step then: its requests are counted already.
    """
    if evidence.step >= 0 and (weight, at) == (evidence.weight, evidence.step_at):
        return evidence if step == evidence.step else replace(evidence, step=step)
    nothing = mixture.nothing_yet(mixture.NON_INFERIORITY)
    metrics = tuple(
        replace(m, tests=tuple(replace(t, proof=nothing, proven=False, step=NO_REQUESTS) for t in m.tests))
        for m in evidence.metrics
    )
    entered = replace(
        evidence,
        started_at=at if evidence.step < 0 else evidence.started_at,
        metrics=metrics,
        limits=limits.in_new_step(evidence.limits, settings, alone=weight >= ALL),
        step=step,
        step_at=at,
        weight=weight,
        polls=0,
        last_eval=None,
        block_start=at,
        step_requests=NO_REQUESTS,
        last_data_at=at,
        data_ok=False,
        fault_since=at if evidence.faults else None,
        fault_seconds=0.0,
        missing_scrapes=0,
        pod_load=(0.0, 0.0),
        in_flight=NO_REQUESTS,
        off_split=0,
        spans=(),
        entered=_entered(evidence, StepEntered(step=step, weight=weight, at=at)),
    )
    return with_new_part(entered, at) if is_compared(entered, settings) else entered


def _entered(evidence: Evidence, step: StepEntered) -> tuple[StepEntered, ...]:
    """With the end of the step that is left: after its last poll it has counted nothing."""
    if not evidence.entered:
        return (step,)
    last = evidence.step_at if evidence.last_eval is None else evidence.last_eval
    return (*evidence.entered[:-1], replace(evidence.entered[-1], until=last), step)


def period(evidence: Evidence, settings: AnalysisSettings, scrape_interval: float = DEFAULT_SCRAPE_INTERVAL) -> float:
    """Seconds between polls: as set, else the scrape interval; quick looks until that has been seen."""
    if settings.poll is not None:
        return settings.poll.total_seconds()
    if evidence.scrape_interval is None and evidence.polls < PROBING_POLLS:
        return PROBING_PERIOD
    seen = scrape_interval if evidence.scrape_interval is None else evidence.scrape_interval
    return min(60.0, max(1.0, seen))


def polls_due(
    evidence: Evidence,
    settings: AnalysisSettings,
    now: float,
    *,
    scrape_interval: float = DEFAULT_SCRAPE_INTERVAL,
    lag: float = 0.5,
    limit: int = 60,
) -> tuple[float, ...]:
    """Times of the grid that are due and not yet asked, in order; after a restart all that were missed.

    While the period may still change, one at a time: a replay must see the grid of the live run. Of a step that is
    being replayed only those of the live run, and after a fault not at once and one at a time.
    """
    if not is_watched(evidence, settings) or now < _not_before(evidence):
        return ()
    ends = inf if evidence.replay is None or evidence.replay.until is None else evidence.replay.until
    step = period(evidence, settings, scrape_interval)
    certain = settings.poll is not None or evidence.scrape_interval is not None
    most = limit if certain and not (evidence.replay is not None and evidence.faults) else 1
    due: list[float] = []
    at = _next_time(evidence, step)
    while len(due) < most and at + lag <= now and at <= ends:
        due.append(at)
        at = round(at + step, 3)
    return tuple(due)


def next_poll(
    evidence: Evidence,
    settings: AnalysisSettings,
    now: float,
    *,
    scrape_interval: float = DEFAULT_SCRAPE_INTERVAL,
    lag: float = 0.5,
) -> float:
    """When to wake for the next poll: never before `now`, infinity where nothing is counted."""
    if not is_watched(evidence, settings):
        return inf
    return max(now, _not_before(evidence), _next_time(evidence, period(evidence, settings, scrape_interval)) + lag)


def _not_before(evidence: Evidence) -> float:
    return evidence.replay.asked_at + ASK_AGAIN if evidence.replay is not None and evidence.faults else -inf


def has_polls_left(evidence: Evidence, settings: AnalysisSettings, until: float | None) -> bool:
    """Whether the grid has a time after the last poll and up to `until`; None: it goes on."""
    return until is None or _next_time(evidence, period(evidence, settings)) <= until


def _next_time(evidence: Evidence, step: float) -> float:
    since = evidence.step_at if evidence.last_eval is None else evidence.last_eval
    return round(since + step, 3)


def measure_since(evidence: Evidence) -> float:
    """From when on raw samples are needed for the next poll."""
    interval = evidence.scrape_interval or DEFAULT_SCRAPE_INTERVAL
    return evidence.block_start - blocks.lookback(interval)


def absorb(evidence: Evidence, settings: AnalysisSettings, poll: Poll, arms: Arms) -> Evidence:
    """The evidence with one more poll; the same evidence where it was absorbed before or is of no use."""
    if (arms.stable.revision, arms.candidate.revision) != (evidence.stable, evidence.candidate):
        raise ValueError(f"arms {arms.stable.revision}, {arms.candidate.revision} are not those of the evidence")
    since = evidence.step_at if evidence.last_eval is None else evidence.last_eval
    if not is_watched(evidence, settings) or poll.at <= since:
        return evidence
    noted = noted_only(evidence, poll)
    if not isinstance(poll.answers.get(REQUESTS), tuple) or isinstance(poll.answers.get(BAD), ProviderFault):
        return noted
    noted = replace(noted, scrape_interval=noted.scrape_interval or _interval(poll))
    block = blocks.read_block(
        poll,
        arms,
        start=max(noted.block_start, poll.at - OLDEST_BLOCK),
        scrape_interval=noted.scrape_interval or DEFAULT_SCRAPE_INTERVAL,
        warmup=settings.warmup.total_seconds(),
    )
    noted = _with_data_clock(noted, block, arms)
    ending = blocks.closing(block, arms, noted.carried, alone=noted.weight >= ALL)
    if not ending.closes:
        return noted
    answered = [metric for metric in settings.metrics if _is_answered(metric, poll)]
    return grown(noted, settings, counted(block, arms, ending.targets, answered))


def _is_answered(metric: MetricSettings, poll: Poll) -> bool:
    """Whether each query of the metric brought something, be it no series."""
    parts = [answer for name, answer in poll.answers.items() if name.partition("/")[0] == metric.name]
    of_errors = metric.name == "errors"  # its queries are those of all requests, answered or this poll was left
    return of_errors or (bool(parts) and all(isinstance(answer, tuple) for answer in parts))


def noted_only(evidence: Evidence, poll: Poll) -> Evidence:
    """The clocks of a poll, whatever it answered."""
    answers = sorted(poll.answers.items())
    faults = tuple((name, a) for name, a in answers if isinstance(a, ProviderFault) and name != IN_FLIGHT)
    since, seconds = evidence.fault_since, evidence.fault_seconds
    if faults and since is None:
        since = poll.at
    elif not faults and since is not None:
        seconds, since = seconds + max(0.0, poll.at - since), None
    return replace(
        evidence,
        polls=evidence.polls + 1,
        last_eval=poll.at,
        faults=faults,
        fault_since=since,
        fault_seconds=seconds,
        data_ok=False,
        queries=tuple(sorted(poll.queries.items())) or evidence.queries,
    )


def _interval(poll: Poll) -> float | None:
    for name in (TARGETS, REQUESTS):
        answer = poll.answers.get(name)
        if isinstance(answer, tuple):
            seen = spacing([series.samples for series in answer])
            if seen is not None:
                return seen
    return None


def _with_data_clock(evidence: Evidence, block: OpenBlock, arms: Arms) -> Evidence:
    """Data are fine while the candidate has requests where a scrape is recent: an open block may be old otherwise."""
    ok = not evidence.faults and block.errors(arms, block.fresh).n_canary > 0
    exported = any(count.exports for count in block.counts.values())
    missing = 0 if exported else max(evidence.missing_scrapes, blocks.ready_scrapes_without_series(block, arms))
    last = block.end if ok else evidence.last_data_at
    return replace(evidence, data_ok=ok, last_data_at=last, missing_scrapes=missing)
