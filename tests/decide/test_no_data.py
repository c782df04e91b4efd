"""A poll that failed, or that saw no request of the canary, moves nothing: neither forward nor back."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from hypothesis import event, given, settings
from hypothesis import strategies as st

from modelrollout.decide.evidence import absorb, begin, enter_step
from modelrollout.decide.findings import Reading
from modelrollout.decide.judge import decide, judge
from modelrollout.decide.standing import Standing
from modelrollout.domain.analysis import AnalysisSettings, OnHoldTimeout, OnInconclusive, StepTiming
from modelrollout.domain.judgement import Action
from modelrollout.domain.polls import BAD, REQUESTS, TARGETS, FaultKind, Poll, ProviderFault, Sample, Series
from tests.decide.simulated import ARMS

EVERY = 5.0
STEP_AT = 100.0
TIMING = StepTiming(min_duration=timedelta(seconds=15), deadline=timedelta(seconds=25))
DOWN = ProviderFault(kind=FaultKind.TIMEOUT, message="Prometheus does not answer in time")
STAYS = {Action.CONTINUE, Action.HOLD}

SETTINGS = st.builds(
    replace,
    st.just(
        AnalysisSettings(
            poll=timedelta(seconds=EVERY),
            alpha=0.05,
            min_bad=1,
            min_requests=20,
            no_data_timeout=timedelta(seconds=20),
            hold_timeout=timedelta(seconds=15),
            metrics=AnalysisSettings().metrics[:1],
        )
    ),
    on_inconclusive=st.sampled_from(OnInconclusive),
    on_hold_timeout=st.sampled_from(OnHoldTimeout),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What happens between two polls, and whether the second is answered."""

    canary: int
    bad: int
    answer: str


SPAN = st.builds(
    lambda canary, share, answer: Span(canary=canary, bad=round(canary * share), answer=answer),
    st.sampled_from([0, 0, 20, 40, 3000]),
    st.sampled_from([0.0, 0.02, 0.05, 0.3]),
    st.sampled_from(["whole", "whole", "whole", "down", "bad down", "empty"]),
)


@dataclass(kw_only=True)
class Counters:
    """Counters of both arms, scraped at each poll."""

    samples: dict[tuple[str, bool], list[Sample]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for at in (STEP_AT - EVERY, STEP_AT):
            self.scrape(at, Span(canary=0, bad=0, answer="whole"))

    def scrape(self, at: float, span: Span) -> None:
        for key, rise in {
            ("new", False): span.canary - span.bad,
            ("new", True): span.bad,
            ("old", False): 990,
            ("old", True): 10,
        }.items():
            series = self.samples.setdefault(key, [])
            series.append(Sample(at, (series[-1].v if series else 1000.0) + rise))

    def canary_requests(self, since: float) -> float:
        series = [self.samples["new", bad] for bad in (False, True)]
        return sum(s[-1].v - next(x.v for x in s if x.t == since) for s in series)

    def poll(self, at: float, answer: str) -> Poll:
        requests = tuple(
            Series(revision=revision, target="gw/1", labels=(("bad", str(bad)),), samples=tuple(samples), bad=bad)
            for (revision, bad), samples in self.samples.items()
        )
        seen = tuple(Sample(s.t, 1.0) for s in self.samples["old", False])
        witness = (Series(revision="", target="gw/1", labels=(), samples=seen),)
        match answer:
            case "down":
                return Poll(at=at, answers={REQUESTS: DOWN, TARGETS: DOWN})
            case "bad down":
                return Poll(at=at, answers={REQUESTS: requests, BAD: DOWN, TARGETS: witness})
            case "empty":
                return Poll(at=at, answers={REQUESTS: (), TARGETS: witness})
        return Poll(at=at, answers={REQUESTS: requests, TARGETS: witness})


@given(SETTINGS, st.lists(SPAN, min_size=5, max_size=20))
@settings(max_examples=150, deadline=None)
def test_a_poll_without_data_neither_advances_nor_takes_back(wanted: AnalysisSettings, spans: list[Span]) -> None:
    world = Counters()
    begun = begin(wanted, stable="old", candidate="new", attempt="1", steps=3, at=STEP_AT)
    evidence = enter_step(begun, wanted, step=0, weight=20, at=STEP_AT)
    for i, span in enumerate(spans, start=1):
        at = STEP_AT + EVERY * i
        world.scrape(at, span)
        silent = span.answer != "whole" or world.canary_requests(evidence.block_start) == 0
        before = evidence.metrics
        evidence = absorb(evidence, wanted, world.poll(at, span.answer), ARMS)
        found = judge(evidence, wanted, TIMING, at, shifted=True)
        if silent:
            assert found.action in STAYS
            assert evidence.metrics == before or span.answer == "whole"
        event(f"{'silent' if silent else 'seen'}: {found.action} {found.reason}")
        if found.action not in STAYS:
            return  # decided: the step is over
        assert judge(evidence, wanted, TIMING, at + 600, shifted=True).action is not Action.ADVANCE


READING = st.builds(
    Reading,
    t=st.floats(0, 1e5),
    since_data=st.floats(0, 1e5),
    log_evidence=st.floats(-50, 2.99),
    bad_canary=st.integers(0, 1000),
    n_canary=st.integers(0, 10**6),
    proven=st.dictionaries(st.sampled_from(["errors", "latency@0.25"]), st.booleans()),
    guardrail=st.none(),
    data_ok=st.just(False),
    stands=st.just(Standing(log_evidence=0.0, metrics=(), culprit=None)),
)


@given(READING, SETTINGS)
def test_whatever_is_known_the_table_stays_where_it_is_without_data(reading: Reading, wanted: AnalysisSettings) -> None:
    assert decide(reading, wanted, TIMING)[0] in STAYS


@given(READING, SETTINGS)
def test_only_a_guardrail_takes_back_without_data(reading: Reading, wanted: AnalysisSettings) -> None:
    assert decide(replace(reading, guardrail="burn"), wanted, TIMING) == (Action.ROLLBACK, "guardrail:burn")
