"""A study in words and numbers: how long, how often wrong, what is caught."""

from typing import Any

from modelrollout.domain.analysis import AnalysisSettings, Mode
from modelrollout.domain.metrics import Kind, Source
from modelrollout.simulate.own_metrics import gauges
from modelrollout.simulate.rollout import Ending
from modelrollout.simulate.scenario import Lognormal, Rate, Scenario, Version
from modelrollout.simulate.study import CONFIDENCE, Runs, Spread, Study, upper_bound
from modelrollout.simulate.tables import Page, Table, number_text, per_cent, seconds_text

_TIMES = ("median", "90 % within")


def told(study: Study) -> Page:
    settings = study.desired.analysis
    weights = ", ".join(f"{step.weight} %" for step in study.desired.rollout.steps) or "all at once"
    scenario = study.expected.scenario
    return Page(
        title=f"{study.desired.key.name}: {weights}, at {scenario.requests_per_second:g} requests a second",
        tables=(_how_long(study), _how_often_wrong(study), *_what_it_catches(study)),
        document=_document(study),
        remarks=(
            f"Stable answers with {version_text(scenario.stable)}. {len(study.same.runs)} simulated rollouts each.",
            *_remarks(study, settings),
        ),
    )


def version_text(version: Version) -> str:
    latency = [] if version.latency is None else [_value_text("latency", version.latency)]
    own = [_value_text(name, value) for name, value in version.own]
    return ", ".join([f"errors {per_cent(version.error_rate)}", *latency, *own])


def difference_text(version: Version, stable: Version) -> str:
    """In what a version is not like stable."""
    if version == stable:
        return "like stable"
    told = [f"errors {per_cent(version.error_rate)}"] if version.error_rate != stable.error_rate else []
    if version.latency is not None and version.latency != stable.latency:
        told.append(_value_text("latency", version.latency))
    told += [_value_text(name, value) for name, value in version.own if value != stable.of(name)]
    return ", ".join(told)


def _value_text(name: str, value: Rate | Lognormal) -> str:
    if isinstance(value, Lognormal):
        return f"{name} {1000 * value.median:.4g} ms"
    return f"{name} {per_cent(value.bad)}"


def _remarks(study: Study, settings: AnalysisSettings) -> list[str]:
    found = []
    scenario = study.expected.scenario
    waiting = [step.weight for step in study.desired.rollout.steps if step.pause and step.pause.duration is None]
    if waiting:
        there = " and ".join(f"{weight} %" for weight in waiting)
        found.append(f"A person lets {there} pass {seconds_text(scenario.approve_after)} after being waited for.")
    if settings.mode is not Mode.ENFORCE:
        found.append(
            f"analysis.mode is {settings.mode}: nothing that is measured is enforced. Steps go by minDuration; only "
            "failing pods are taken back."
        )
    elif scenario.stable.latency is None and any(
        metric.kind is Kind.HISTOGRAM and metric.required_for_advance for metric in settings.metrics
    ):
        found.append("Without latency series latency is never proven, so the deadline decides each step.")
    if left_out := gauges(study.desired):
        found.append(f"Left out, for a gauge's values cannot be drawn: {', '.join(left_out)}.")
    named = any(metric.bounds for metric in settings.metrics)
    if settings.source is Source.GATEWAY and named and scenario.bounds is None:
        found.append("The gateway is taken to have a bucket for each edge and slo of analysis.metrics.")
    return found


def _how_long(study: Study) -> Table:
    scenario = study.expected.scenario
    rows = [("getting ready", *_times(study.getting_ready), "")]
    for step in study.steps:
        name = f"{step.weight} %" if step.weight < 100 else "100 % (bake)"
        rows.append((name, *_times(step.seconds), per_cent(step.proven) if step.weight < 100 else ""))
    rows.append(("in all", *_times(study.in_all), ""))
    promoted = study.expected.ended(Ending.PROMOTED)
    others = f"Of the {per_cent(promoted)} that were promoted; {_others(study.expected)}."
    return Table(
        title=f"How long (the candidate: {difference_text(scenario.tested, scenario.stable)})",
        head=("step", *_TIMES, "by proof"),
        rows=tuple(rows),
        remarks=() if promoted == 1 else (others,),
    )


def _others(runs: Runs) -> str:
    """What became of those that were not promoted, and why."""
    endings = (Ending.ROLLED_BACK, Ending.HELD, Ending.UNFINISHED)
    return "; ".join(
        f"{per_cent(share)} {ending} ({', '.join(runs.reasons(ending))})"
        for ending in endings
        if (share := runs.ended(ending))
    )


def _times(spread: Spread | None) -> tuple[str, str]:
    return (seconds_text(spread.median if spread else None), seconds_text(spread.p90 if spread else None))


def _how_often_wrong(study: Study) -> Table:
    same, settings = study.same, study.desired.analysis
    count = len(same.runs)
    undone = sum(run.undone for run in same.runs)
    proven = sum(run.proven for run in same.runs)
    promoted = sum(run.ending is Ending.PROMOTED for run in same.runs)
    enforced = settings.mode is Mode.ENFORCE
    rows = [
        ("rolled back", f"{undone}", per_cent(undone / count)),
        ("held", *_counted(same, Ending.HELD)),
    ]
    by_judgement = [
        ("promoted, every step proven", f"{proven}", per_cent(proven / count)),
        ("promoted, some step at its deadline", f"{promoted - proven}", per_cent((promoted - proven) / count)),
    ]
    rows += by_judgement if enforced else [("promoted, by time", f"{promoted}", per_cent(promoted / count))]
    if same.ended(Ending.UNFINISHED):
        rows.append(("unfinished", *_counted(same, Ending.UNFINISHED)))
    bound = (
        f"{undone} of {count} rolled back: the true rate is below {per_cent(upper_bound(undone, count))} "
        f"({per_cent(CONFIDENCE)} confidence); promised is at most alpha = {per_cent(settings.alpha)}."
    )
    remarks = [bound if enforced else f"With mode {settings.mode} nothing is enforced, so alpha does not apply."]
    if promoted < count:
        remarks.append(f"Not promoted: {_others(same)}.")
    return Table(
        title="How often wrong (a candidate exactly like stable)",
        head=("ending", "rollouts", "share"),
        rows=tuple(rows),
        remarks=tuple(remarks),
    )


def _counted(runs: Runs, ending: Ending) -> tuple[str, str]:
    return str(sum(run.ending is ending for run in runs.runs)), per_cent(runs.ended(ending))


def _what_it_catches(study: Study) -> tuple[Table, ...]:
    if not study.worse:
        return ()
    rows = []
    for runs in study.worse:
        bad = runs.bad_answers
        rows.append(
            (
                difference_text(runs.scenario.tested, runs.scenario.stable),
                per_cent(runs.ended(Ending.ROLLED_BACK)),
                per_cent(runs.ended(Ending.HELD)),
                per_cent(runs.ended(Ending.PROMOTED)),
                *_times(runs.seconds_to_rollback),
                number_text(bad.median) if bad else "–",
            )
        )
    good = study.expected.scenario.good_for
    since = f"the candidate turned, {seconds_text(good)} after its" if good else "the candidate's"
    meaning = (
        f"Times run from {since} first requests to the rollback. Bad answers: the median of what users got from the "
        "candidate until it was taken back or had everything."
    )
    return (
        Table(
            title="What it catches",
            head=("candidate", "rolled back", "held", "promoted", *_TIMES, "bad answers"),
            rows=tuple(rows),
            remarks=(meaning,),
        ),
    )


def _document(study: Study) -> dict[str, Any]:
    scenario = study.expected.scenario
    return {
        "name": study.desired.key.name,
        "runs": len(study.same.runs),
        "scenario": _scenario_document(scenario),
        "howLong": {
            "candidate": _version_document(scenario.tested),
            "promoted": study.expected.ended(Ending.PROMOTED),
            "gettingReady": _spread_document(study.getting_ready),
            "steps": [
                {"weight": step.weight, **(_spread_document(step.seconds) or {}), "proven": step.proven}
                for step in study.steps
            ],
            "inAll": _spread_document(study.in_all),
        },
        "howOftenWrong": {
            **_endings(study.same),
            "proven": study.same.share(lambda run: run.proven),
            "rolledBackBelow": upper_bound(sum(run.undone for run in study.same.runs), len(study.same.runs)),
            "alpha": study.desired.analysis.alpha,
        },
        "whatItCatches": [
            {
                "candidate": _version_document(runs.scenario.tested),
                **_endings(runs),
                "secondsToRollback": _spread_document(runs.seconds_to_rollback),
                "badAnswers": _spread_document(runs.bad_answers),
            }
            for runs in study.worse
        ],
    }


def _endings(runs: Runs) -> dict[str, Any]:
    names = {"rolledBack": Ending.ROLLED_BACK, "held": Ending.HELD, "promoted": Ending.PROMOTED}
    reasons = {str(ending): dict(runs.reasons(ending)) for ending in (Ending.ROLLED_BACK, Ending.HELD)}
    return {name: runs.ended(ending) for name, ending in names.items()} | {"reasons": reasons}


def _spread_document(spread: Spread | None) -> dict[str, float] | None:
    return None if spread is None else {"median": round(spread.median, 3), "p90": round(spread.p90, 3)}


def _version_document(version: Version) -> dict[str, Any]:
    latency = version.latency
    told = None if latency is None else _value_document(latency)
    own = {name: _value_document(value) for name, value in version.own}
    return {"errorRate": version.error_rate, "latency": told} | ({"metrics": own} if own else {})


def _value_document(value: Rate | Lognormal) -> dict[str, float]:
    if isinstance(value, Lognormal):
        return {"medianSeconds": value.median, "sigma": value.sigma}
    return {"rate": value.bad, "countedShare": value.counted}


def _scenario_document(scenario: Scenario) -> dict[str, Any]:
    return {
        "requestsPerSecond": scenario.requests_per_second,
        "stable": _version_document(scenario.stable),
        "goodForSeconds": scenario.good_for,
        "scrapeSeconds": scenario.scrape,
        "pods": scenario.pods,
        "readyAfterSeconds": scenario.ready_after,
        "approveAfterSeconds": scenario.approve_after,
    }
