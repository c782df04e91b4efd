"""Counts of a rollout that somebody wrote down, and what the analysis would have decided about them.

CSV with a header, or JSON with the same names: a row for each interval. `seconds` (its length, 2 to 60), `weight`
(the candidate's per cent then), `stable`, `stable_bad`, `candidate`, `candidate_bad` (requests, and bad ones of them).
Optional: `stable_le_<bound>` and `candidate_le_<bound>`, requests within so many seconds, for each bound of both.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path

from modelrollout.decide.evidence import absorb, measure_since
from modelrollout.decide.lookback import informed
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.metrics import ERRORS, LATENCY
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.polls import Arm, Arms
from modelrollout.simulate.before import history_of
from modelrollout.simulate.deployment_file import Unreadable
from modelrollout.simulate.own_metrics import without
from modelrollout.simulate.retell import Ask, PastRollout, PastStep, Retold, Telling, retell
from modelrollout.simulate.scraped import Scraped
from modelrollout.simulate.tables import Page, Table, seconds_text

STABLE, CANDIDATE = "stable", "candidate"
TARGET = "recorded"
LEAST_SECONDS, MOST_SECONDS = 2.0, 60.0
LAST_POLL = 2.0
"""Seconds after a step in which its last interval is still looked at; the next one is not over by then."""
SCRAPES_BEFORE = 4
"""Before the first interval, so that the scrape interval is known when it begins."""
_NEEDED = ("seconds", "weight", STABLE, f"{STABLE}_bad", CANDIDATE, f"{CANDIDATE}_bad")


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """One arm in one interval. `within`: requests that took at most so many seconds, cumulative, by bound."""

    requests: int
    bad: int
    within: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    seconds: float
    weight: int
    stable: Count
    candidate: Count


def read_recorded(path: str) -> tuple[Interval, ...]:
    """Unreadable names the file, the row and the column."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path}: cannot be read: {error}") from error
    rows = _json_rows(path, text) if text.lstrip().startswith(("[", "{")) else list(csv.DictReader(io.StringIO(text)))
    if not rows:
        raise Unreadable(f"{path}: has no rows; write one for each interval")
    intervals = tuple(_interval(row, f"{path}, row {number}") for number, row in enumerate(rows, start=1))
    bounds = {tuple(b for b, _ in count.within) for each in intervals for count in (each.stable, each.candidate)}
    if len(bounds) > 1:
        raise Unreadable(f"{path}: latency columns differ; write the same le bounds for stable and candidate")
    return intervals


def judge_recorded(desired: ModelDeployment, intervals: Sequence[Interval]) -> Page:
    """One rollout, without chance. Metrics that the file cannot hold are left out, and that is said."""
    unknown = tuple(metric.name for metric in desired.analysis.metrics if metric.name not in (ERRORS, LATENCY))
    desired = without(desired, unknown)
    retold = retell_recorded(desired, intervals)
    rows = tuple(
        (
            seconds_text(turn.at - retold.rollout.steps[0].begun),
            f"{turn.weight} %",
            str(turn.judgement.action),
            turn.judgement.sentence,
        )
        for turn in retold.turns
    )
    stopped = retold.stopped
    verdict = "It would have been rolled back." if stopped else "It would not have been rolled back."
    document = {
        "name": desired.key.name,
        "rolledBack": stopped is not None,
        "decisions": [
            {
                "seconds": round(turn.at - retold.rollout.steps[0].begun, 3),
                "weight": turn.weight,
                "action": str(turn.judgement.action),
                "reason": turn.judgement.reason,
                "sentence": turn.judgement.sentence,
            }
            for turn in retold.turns
        ],
    }
    head = ("after", "weight", "decision", "because")
    table = Table(title="What would have been decided", head=head, rows=rows, prose=(2, 3))
    left_out = (f"Left out, for the file has no columns for them: {', '.join(unknown)}.",) if unknown else ()
    remarks = (verdict, *left_out)
    return Page(title=f"{desired.key.name}, as recorded", tables=(table,), document=document, remarks=remarks)


def retell_recorded(desired: ModelDeployment, intervals: Sequence[Interval]) -> Retold:
    steps = _steps(intervals)
    scraped = _scraped(intervals)
    rollout = PastRollout(stable=STABLE, candidate=CANDIDATE, steps=steps)
    return told_by(retell(desired, rollout), scraped, desired)


def told_by(telling: Telling, scraped: Scraped, desired: ModelDeployment) -> Retold:
    """The story, with these samples for every measurement."""
    try:
        ask = next(telling)
        while True:
            ask = telling.send(_measured(ask, desired, scraped))
    except StopIteration as end:
        told: Retold = end.value
        return told


def _measured(ask: Ask, desired: ModelDeployment, scraped: Scraped) -> Evidence:
    evidence = ask.action.evidence
    arms = Arms(
        stable=Arm(revision=evidence.stable, service=f"{evidence.stable}@{TARGET}"),
        candidate=Arm(revision=evidence.candidate, service=f"{evidence.candidate}@{TARGET}"),
    )
    if ask.action.look_back is not None:
        past = scraped.poll(ask.action.look_back)
        evidence = informed(evidence, desired.analysis, history_of(past, evidence.stable, desired.analysis.source))
    for at in ask.action.polls:
        evidence = absorb(evidence, desired.analysis, scraped.poll(at, measure_since(evidence)), arms)
    return evidence


def _steps(intervals: Sequence[Interval]) -> tuple[PastStep, ...]:
    """A new weight begins a new step."""
    steps: list[PastStep] = []
    at = 0.0
    for each in intervals:
        begun = steps.pop().begun if steps and steps[-1].weight == each.weight else at
        at += each.seconds
        steps.append(PastStep(weight=each.weight, begun=begun, ended=at + LAST_POLL))
    return tuple(steps)


def _scraped(intervals: Sequence[Interval]) -> Scraped:
    """The counters as a Prometheus would have them that scraped at the end of each interval."""
    within = intervals[0].stable.within
    scraped = Scraped([bound for bound, _ in within] if within else None)
    for number in range(SCRAPES_BEFORE):
        scraped.scrape(TARGET, (number - SCRAPES_BEFORE + 1) * intervals[0].seconds)
    at = 0.0
    for each in intervals:
        at += each.seconds
        for revision, count in ((STABLE, each.stable), (CANDIDATE, each.candidate)):
            below = [number for _, number in count.within]
            alone = [high - low for low, high in zip((0, *below), (*below, count.requests), strict=True)]
            scraped.add(
                TARGET, revision, good=count.requests - count.bad, bad=count.bad, buckets=alone if below else ()
            )
        scraped.scrape(TARGET, at)
    return scraped


def _json_rows(path: str, text: str) -> list[Mapping[str, object]]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise Unreadable(f"{path}: is not JSON: {error}") from error
    if not isinstance(document, list) or not all(isinstance(row, Mapping) for row in document):
        raise Unreadable(f"{path}: is no list of objects; write [{{seconds: 15, weight: 5, …}}, …]")
    return document


def _interval(row: Mapping[str, object], where: str) -> Interval:
    missing = [name for name in _NEEDED if row.get(name) in (None, "")]
    if missing:
        raise Unreadable(f"{where}: {missing[0]} is missing; write {', '.join(_NEEDED)}")
    length = _number(row, "seconds", where)
    weight = _whole(row, "weight", where)
    if not LEAST_SECONDS <= length <= MOST_SECONDS:
        raise Unreadable(f"{where}, seconds: {length:g} is not possible; write {LEAST_SECONDS:g} to {MOST_SECONDS:g}")
    if not 0 <= weight <= 100:
        raise Unreadable(f"{where}, weight: {weight} is not possible; write a per cent from 0 to 100")
    return Interval(
        seconds=length, weight=weight, stable=_count(row, STABLE, where), candidate=_count(row, CANDIDATE, where)
    )


def _count(row: Mapping[str, object], arm: str, where: str) -> Count:
    requests, bad = _whole(row, arm, where), _whole(row, f"{arm}_bad", where)
    prefix = f"{arm}_le_"
    within = tuple(sorted((_bound(name, prefix, where), _whole(row, name, where)) for name in row if _is(name, prefix)))
    within = tuple(each for each in within if each[0] != inf)
    counts = [number for _, number in within]
    if not 0 <= bad <= requests or counts != sorted(counts) or any(not 0 <= each <= requests for each in counts):
        raise Unreadable(f"{where}, {arm}: counts do not fit; write no more bad or quick requests than requests")
    return Count(requests=requests, bad=bad, within=within)


def _is(name: object, prefix: str) -> bool:
    return isinstance(name, str) and name.startswith(prefix)


def _bound(name: str, prefix: str, where: str) -> float:
    try:
        return float(name.removeprefix(prefix))
    except ValueError as error:
        raise Unreadable(f"{where}: {name} names no bound; write a number of seconds after {prefix}") from error


def _number(row: Mapping[str, object], name: str, where: str) -> float:
    value = row.get(name)
    try:
        number = float(value) if isinstance(value, str | int | float) else inf
    except ValueError:
        number = inf
    if not isfinite(number):
        raise Unreadable(f"{where}, {name}: {value} is no number; write one")
    return number


def _whole(row: Mapping[str, object], name: str, where: str) -> int:
    number = _number(row, name, where)
    if number != int(number):
        raise Unreadable(f"{where}, {name}: {row.get(name)} is no whole number; write one")
    return int(number)
