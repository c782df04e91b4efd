"""The page: where the rollout stands, each test with its counts and evidence, the last blocks. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from math import inf
from textwrap import wrap

from modelrollout.decide import gauges, limits, mixture
from modelrollout.decide.growth import margin_of
from modelrollout.decide.standing import MetricStanding, log_evidence_of, ratio_interval, standing, test_name
from modelrollout.domain.evidence import Evidence, LimitEvidence, TestEvidence
from modelrollout.domain.metrics import Kind, Margin
from modelrollout.domain.tally import Tally
from modelrollout.explain.source import Found
from modelrollout.simulate.tables import Table, aligned, number_text, per_cent

WIDTH = 98
_COUNTS = ("candidate", "bad", "rate", "stable", "bad", "rate")
_DASH = "–"


LEGEND = (
    "Words",
    "  log E       natural logarithm of E, the evidence against the candidate; no probability. At its",
    "              limit, ln(1/alpha), and with enough bad requests, the candidate is taken back.",
    "  Parts       E is made of parts; one begins at 1 with each step, and within long steps.",
    "  phi         as many bad requests as count for one, because they fail in bursts; phi?: assumed.",
    "  tau         how far pods of one version differ for good; it widens what is tolerated.",
    "  tolerated   ratio times stable's rate, plus an absolute one: up to there it is not worse.",
    "  Open block  the seconds that are being gathered; they count in E once the block is closed.",
    "  More        docs/concepts/judging.md",
)


def page(found: Found) -> str:
    """Lines of at most 98 characters."""
    evidence, settings = found.evidence, found.settings
    rows = standing(evidence, settings).metrics
    tables = [_counts(rows), _evidence(found, rows), _margins(rows), _gauges(evidence), _blocks(evidence)]
    blocks = [_facts(found), *([table.title, *_fitted(table)] for table in tables if table.rows), list(LEGEND)]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _fitted(table: Table) -> list[str]:
    """A table that long names make too wide has them on lines of their own."""
    lines = aligned(table)
    if max(map(len, lines)) <= WIDTH:
        return lines
    head, *rows = aligned(replace(table, head=("", *table.head[1:]), rows=tuple(("", *row[1:]) for row in table.rows)))
    named = [[f"  {row[0]}", line] if row[0] else [line] for row, line in zip(table.rows, rows, strict=True)]
    return [head, *chain.from_iterable(named)]


def _facts(found: Found) -> list[str]:
    evidence = found.evidence
    title = f"{found.where}: candidate {evidence.candidate} against stable {evidence.stable}"
    told = {
        "Checksum": found.checksum,
        "Used": found.use,
        "Margins": found.margins,
        "Step": _step(evidence),
        "Before it": "; ".join(
            f"{each.weight} % from {_moment(each.at)} to {_moment(each.until)}" for each in evidence.entered[:-1]
        ),
        "Parts": f"{evidence.parts_started} of {evidence.planned_parts} begun, the last at {_moment(evidence.part_at)}",
        "Evidence": _overall(found),
        "Limits": _limits(found),
        "Found": _latches(evidence),
        "Flags": ", ".join(_flags(found)),
        "Open block": f"since {_moment(evidence.block_start)}; {evidence.block_seq} were counted",
        "Last poll": _polls(evidence),
    }
    lines = [title]
    for name, text in told.items():
        if text:
            lines += wrap(text, WIDTH, initial_indent=f"  {name:<12}", subsequent_indent=" " * 14)
    return lines


def _step(evidence: Evidence) -> str:
    if evidence.step < 0:
        return "none has begun"
    return f"{evidence.step + 1} of {evidence.steps + 1} at {evidence.weight} %, since {_moment(evidence.step_at)}"


def _overall(found: Found) -> str:
    stands, settings = standing(found.evidence, found.settings), found.settings
    limit = mixture.log_limit(settings.alpha)
    culprit = f"; loudest: {stands.culprit.metric.name}" if stands.culprit and found.evidence.block_seq else ""
    return (
        f"log E {stands.log_evidence:.4f} of {limit:.4f}, E {_strength(stands.log_evidence)} of {_strength(limit)}; "
        f"{number_text(stands.bad_canary)} bad of at least {settings.min_bad}{culprit}"
    )


def _limits(found: Found) -> str:
    evidence, settings = found.evidence, found.settings
    if not any(each.parts for each in evidence.limits):
        return ""
    score, needed = limits.log_evidence(evidence, settings), mixture.log_limit(settings.guardrails.alpha_slo)
    told = [_limit(each, limit.rate) for each, limit in zip(evidence.limits, settings.limits(), strict=True)]
    return f"{'; '.join(told)}: log E {score:.4f} of {needed:.4f}"


def _limit(each: LimitEvidence, rate: float) -> str:
    what = each.metric if each.edge is None else f"{each.metric} slower than {each.edge:g} s"
    excused = (
        "" if each.excused_at is None else f" (excused since {_moment(each.excused_at)}: stable is above it as well)"
    )
    return f"{what} above {per_cent(rate)}{excused}"


def _latches(evidence: Evidence) -> str:
    found, fired = evidence.regression, evidence.guardrail
    told = []
    if found is not None:
        edge = "" if found.edge is None else f"@{found.edge:g}"
        told.append(f"regression of {found.metric}{edge} at {_moment(found.at)}, log E {found.log_evidence:.4f}")
    if fired is not None:
        told.append(f"guardrail {fired.name} at {_moment(fired.at)}, value {fired.value:.4g}")
    return "; ".join(told)


def _flags(found: Found) -> list[str]:
    """Those of status, and what the evidence says by itself."""
    analysis = (found.status or {}).get("analysis")
    told: list[str] = []
    if isinstance(analysis, Mapping) and analysis.get("attempt") == found.evidence.attempt:
        told = [str(each) for each in analysis.get("flags", [])]
    since = found.evidence.restarted_at
    if since is not None:
        told = [each for each in told if each != "EvidenceRestarted"]
        told.append(f"EvidenceRestarted (counted anew since {_moment(since)}, on top of what status kept)")
    return told


def _polls(evidence: Evidence) -> str:
    if evidence.last_eval is None:
        return "none in this step"
    faults = "; ".join(f"{name}: {fault.message}" for name, fault in evidence.faults)
    return f"{_moment(evidence.last_eval)}, {evidence.polls} in this step{f'; {faults}' if faults else ''}"


def _tests(rows: tuple[MetricStanding, ...]) -> list[tuple[str, MetricStanding, TestEvidence]]:
    return [(test_name(row.metric, test), row, test) for row in rows for test in row.metric.tests]


def _counts(rows: tuple[MetricStanding, ...]) -> Table:
    lines = []
    for name, _, test in _tests(rows):
        lines.append((name, "rollout", *_tally(test.rollout)))
        lines.append(("", "step", *_tally(test.step)))
    return Table(title="Requests", head=("test", "of the", *_COUNTS), rows=tuple(lines), prose=(1,))


def _tally(counts: Tally) -> tuple[str, ...]:
    return (
        number_text(counts.n_canary),
        number_text(counts.x_canary),
        per_cent(counts.x_canary / counts.n_canary) if counts.n_canary > 0 else _DASH,
        number_text(counts.n_stable),
        number_text(counts.x_stable),
        per_cent(counts.x_stable / counts.n_stable) if counts.n_stable > 0 else _DASH,
    )


def _evidence(found: Found, rows: tuple[MetricStanding, ...]) -> Table:
    """Against the candidate, and that it is not worse; the first counts together, the second by itself."""
    limit = _strength(mixture.log_limit(found.settings.beta))
    lines = []
    for name, _, test in _tests(rows):
        against, proof = log_evidence_of(found.evidence, test), mixture.log_mixture(mixture.NON_INFERIORITY, test.proof)
        proven = "proven" if test.proven else "not yet"
        lines.append((name, f"{against:.4f}", _strength(against), f"{proof:.4f}", _strength(proof), limit, proven))
    bare = [row for row in rows if not row.metric.tests]
    lines += [(row.metric.name, "0.0000", "1", _DASH, _DASH, limit, _edgeless(row)) for row in bare]
    head = ("test", "against: log E", "E", "not worse: log E", "E", "of", "in this step")
    return Table(title="Evidence", head=head, rows=tuple(lines), prose=(6,))


def _edgeless(row: MetricStanding) -> str:
    return "no edges yet" if row.metric.edges is None else "no edge is suitable"


def _margins(rows: tuple[MetricStanding, ...]) -> Table:
    lines = []
    for name, row, test in _tests(rows):
        phi = f"{test.scatter.phi:.3g}{'' if test.scatter.known else '?'}"
        interval = ratio_interval(test)
        span = _DASH if interval is None else f"{interval[0]:.3g} to {_high(interval[1])}"
        margin = _margin(margin_of(test, row.settings), test.rollout)
        proof = _margin(row.settings.non_inferiority, test.step)
        lines.append((name, margin, proof, phi, f"{test.scatter.tau:.3g}", span))
    head = ("test", "tolerated", "not worse below", "phi", "tau", "ratio, 95 %")
    return Table(title="Margins (phi?: assumed)", head=head, rows=tuple(lines))


def _margin(margin: Margin, counts: Tally) -> str:
    """With the rate that it comes to beside stable's."""
    told = f"{margin.ratio:.3g}x + {per_cent(margin.absolute)}"
    if counts.n_stable <= 0:
        return told
    return f"{told} = {per_cent(margin.ratio * counts.x_stable / counts.n_stable + margin.absolute)}"


def _high(ratio: float) -> str:
    return "any" if ratio == inf else f"{ratio:.3g}"


def _gauges(evidence: Evidence) -> Table:
    lines = []
    for metric in evidence.metrics:
        if metric.kind is Kind.GAUGE and metric.gauge is not None:
            seen = metric.gauge
            values = tuple(_DASH if value is None else f"{value:.4g}" for value in (seen.canary, seen.stable))
            score = gauges.log_sign(seen.products)
            lines.append((metric.name, *values, str(seen.windows), str(seen.worse), f"{score:.4f}", _strength(score)))
    head = ("gauge", "candidate", "stable", "windows", "worse in", "log E", "E")
    return Table(title="Gauges", head=head, rows=tuple(lines))


def _blocks(evidence: Evidence) -> Table:
    lines = tuple(
        (str(b.seq), _moment(b.start)[11:-1], f"{b.end - b.start:.1f} s", f"{b.weight} %", *_tally(b.errors))
        for b in evidence.recent
    )
    return Table(
        title="Last blocks (errors)", head=("block", "from, UTC", "long", "at", *_COUNTS), rows=lines, prose=(1,)
    )


def _strength(log_evidence: float) -> str:
    """A number with a limit, never a probability."""
    if log_evidence > 13.8:
        return "> 1 000 000"
    value = mixture.displayed(log_evidence)
    return number_text(value) if value >= 100 else f"{value:.3g}"


def _moment(seconds: float | None) -> str:
    if seconds is None:
        return "now"
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
