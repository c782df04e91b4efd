"""Counters that two scrapes bring of one exporter: each request would count twice. Pure.

Two targets of one pod are usual, a container each. It is the same exporter where the address is the same and all labels
are, but for those that a scrape adds. The twins of an HA pair differ in their replica label and are told apart before.
"""

from collections import defaultdict
from collections.abc import Mapping

from modelrollout.domain.polls import FaultKind, ProviderFault, Series

_ADDED = frozenset({"job", "endpoint", "container", "service", "prometheus"})
"""Labels by which jobs that scrape the same address differ."""

Answers = Mapping[str, tuple[Series, ...] | ProviderFault]


def told_apart(answers: Answers, arm_labels: Mapping[str, str]) -> Answers:
    """The answers, with a fault instead of those that count something twice.

    `arm_labels`: per query the label that tells the arms apart; it is never one that a scrape adds.
    """
    return {
        name: answer
        if isinstance(answer, ProviderFault)
        else _twice(answer, _ADDED - {arm_labels.get(name, "")}) or answer
        for name, answer in answers.items()
    }


def _twice(answer: tuple[Series, ...], added: frozenset[str]) -> ProviderFault | None:
    seen: defaultdict[tuple[object, ...], list[Series]] = defaultdict(list)
    for series in answer:
        own = tuple((name, value) for name, value in series.labels if name not in added)
        if series.revision and any(name == "instance" for name, _ in own):
            for other in seen[series.revision, own]:
                if _overlap(series, other):
                    return _fault(series, other)
            seen[series.revision, own].append(series)
    return None


def _overlap(one: Series, other: Series) -> bool:
    """Whether both were scraped in the same time: a job that was renamed follows its old name."""
    return one.samples[0].t <= other.samples[-1].t and other.samples[0].t <= one.samples[-1].t


def _fault(one: Series, other: Series) -> ProviderFault:
    jobs = sorted({dict(series.labels).get("job", "") for series in (one, other)} - {""})
    labels = dict(one.labels)
    who = labels.get("pod") or labels["instance"]
    by = f" by the jobs {' and '.join(jobs)}" if len(jobs) > 1 else ""
    message = f"{who} is scraped twice{by}: every request would count double. Leave one of them."
    return ProviderFault(kind=FaultKind.AMBIGUOUS, message=message, permanent=True)
