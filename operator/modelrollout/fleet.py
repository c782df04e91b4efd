"""What the operator's metrics tell of each ModelDeployment, and of the analysis of its rollout.

Gauges are made when scraped: 5 000 objects cost nothing until then. What is told of an object leaves with it, and what
is told of its analysis with the rollout. Labels are names of the cluster, of reasons and of the spec's metrics only.
"""

from collections import Counter as Tally
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from modelrollout.domain.conditions import GIVEN_UP, Phase
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.judgement import Judgement, Verdict
from modelrollout.domain.model_deployment import Key

_NAMES = ("namespace", "name")
ALL = 100
"""The weight from which on there is nothing to compare with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Analysis:
    """What was known of one candidate at the last look."""

    candidate: str
    verdicts: tuple[tuple[str, Verdict], ...]
    requests: float
    last_data_at: float
    log_evidence: tuple[float, float] | None
    """With the limit; None before the first block."""


@dataclass(slots=True)
class _Told:
    """What we export of one ModelDeployment."""

    status: Fragment
    phase: str = ""
    weight: int = 0
    conditions: dict[str, str] = field(default_factory=dict)
    rollbacks: Tally[str] = field(default_factory=Tally)
    decisions: Tally[tuple[str, str]] = field(default_factory=Tally)
    """By action and reason."""
    analysis: _Analysis | None = None


class Fleet(Collector):
    def __init__(self) -> None:
        self._told: dict[Key, _Told] = {}

    def saw(self, key: Key, status: Fragment) -> None:
        told = self._told.get(key)
        if told is not None and told.status == status:
            return
        match status.value:
            case {"phase": str(phase), **rest}:
                pass
            case _:
                return
        told = told or self._told.setdefault(key, _Told(status=status))
        told.status, told.phase = status, phase
        match rest:
            case {"rollout": {"weight": int(weight)}}:
                told.weight = weight
            case _:
                told.weight = 0
        match rest:
            case {"conditions": list(conditions)}:
                told.conditions = {each["type"]: each["status"] for each in conditions}
            case _:
                told.conditions = {}
        match rest:
            case {"rollout": {"candidate": str(candidate)}}:
                over = told.weight >= ALL or told.analysis is None or told.analysis.candidate != candidate
            case _:
                over = True
        told.analysis = None if over else told.analysis

    def judged(self, key: Key, judgement: Judgement, evidence: Evidence) -> None:
        """Told of a rollout that `saw` knows to be under way; where nothing is compared there is nothing to tell."""
        told = self._told.get(key)
        if told is None or not judgement.verdicts:
            return
        figures = judgement.figures
        told.analysis = _Analysis(
            candidate=evidence.candidate,
            verdicts=tuple((each.metric, each.verdict) for each in judgement.verdicts),
            requests=evidence.requests.n_canary,
            last_data_at=evidence.last_data_at,
            log_evidence=None if figures is None else (figures.log_evidence, figures.log_limit),
        )

    def announced(self, key: Key, reason: str, action: str) -> None:
        told = self._told.get(key)
        if told is None:
            return
        if reason in GIVEN_UP:
            told.rollbacks[reason] += 1
        if action:
            told.decisions[action, reason] += 1

    def forget(self, key: Key) -> None:
        self._told.pop(key, None)

    def describe(self) -> Iterator[Metric]:
        """Empty: the registry need not scrape us to learn our names."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        listed = sorted(self._told.items(), key=lambda item: (item[0].namespace, item[0].name))
        yield from _of_objects([([key.namespace, key.name], told) for key, told in listed])
        yield from _of_analyses([([key.namespace, key.name], told.analysis) for key, told in listed if told.analysis])


def _of_objects(listed: list[tuple[list[str], _Told]]) -> Iterator[Metric]:
    phase = GaugeMetricFamily("modelrollout_phase", "1 for the present phase.", labels=[*_NAMES, "phase"])
    weight = GaugeMetricFamily("modelrollout_candidate_weight", "Per cent decided for the candidate.", labels=_NAMES)
    condition = GaugeMetricFamily(
        "modelrollout_condition", "1 for the present status of each condition.", labels=[*_NAMES, "type", "status"]
    )
    rollbacks = CounterMetricFamily(
        "modelrollout_rollbacks", "Revisions taken back since this process leads.", labels=[*_NAMES, "reason"]
    )
    decisions = CounterMetricFamily(
        "modelrollout_decisions",
        "Decisions since this process leads, as in status.decisions.",
        labels=[*_NAMES, "action", "reason"],
    )
    for labels, told in listed:
        for each in Phase:
            phase.add_metric([*labels, each.value], float(each.value == told.phase))
        weight.add_metric(labels, told.weight)
        for kind, status in told.conditions.items():
            condition.add_metric([*labels, kind, status], 1.0)
        for reason, count in told.rollbacks.items():
            rollbacks.add_metric([*labels, reason], count)
        for (action, reason), count in told.decisions.items():
            decisions.add_metric([*labels, action, reason], count)
    yield from (phase, weight, condition, rollbacks, decisions)


def _of_analyses(listed: list[tuple[list[str], _Analysis]]) -> Iterator[Metric]:
    verdict = GaugeMetricFamily(
        "modelrollout_metric_verdict",
        "1 for what is known of each metric of a rollout: Fail, ProviderError, NoData, LowSample or Pass.",
        labels=[*_NAMES, "metric", "verdict"],
    )
    evidence = GaugeMetricFamily(
        "modelrollout_log_evidence",
        "Natural logarithm of the evidence against the candidate, of all metrics together.",
        labels=_NAMES,
    )
    limit = GaugeMetricFamily(
        "modelrollout_log_evidence_limit", "From this log evidence on the candidate is taken back.", labels=_NAMES
    )
    requests = GaugeMetricFamily(
        "modelrollout_compared_requests", "Requests of the candidate that were compared in this rollout.", labels=_NAMES
    )
    data = GaugeMetricFamily(
        "modelrollout_last_data_timestamp_seconds",
        "Up to when the candidate's requests were seen; the beginning of the step where none were.",
        labels=_NAMES,
    )
    for labels, told in listed:
        for metric, present in told.verdicts:
            for each in Verdict:
                verdict.add_metric([*labels, metric, each.value], float(each is present))
        if told.log_evidence is not None:
            evidence.add_metric(labels, told.log_evidence[0])
            limit.add_metric(labels, told.log_evidence[1])
        requests.add_metric(labels, told.requests)
        data.add_metric(labels, told.last_data_at)
    yield from (verdict, evidence, limit, requests, data)
