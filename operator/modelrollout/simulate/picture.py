"""A study as a picture: how healthy rollouts move on, and how soon worse candidates are taken back.

matplotlib is no dependency of the operator; it comes with the extra `modelrollout[plot]`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from modelrollout.simulate.rollout import Ending
from modelrollout.simulate.study import Runs, Study
from modelrollout.simulate.tables import per_cent
from modelrollout.simulate.told import difference_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KINDS = (".svg", ".png", ".pdf")


class NoPicture(ValueError):  # noqa: N818 -- what is missing, told to whoever asked for a picture
    """Says what to do to get one."""


def draw(study: Study, path: str) -> None:
    """Write the picture; the same study gives the same file. NoPicture where it cannot be drawn."""
    if Path(path).suffix not in _KINDS:
        raise NoPicture(f"--plot: {path} has no known kind; end the name with {' or '.join(_KINDS)}")
    try:
        from matplotlib import rc_context  # noqa: PLC0415 -- an extra, asked for here only
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise NoPicture("--plot: pictures need matplotlib; install modelrollout[plot]") from error
    with rc_context({"svg.hashsalt": "modelrollout", "font.size": 9}):
        figure = Figure(figsize=(10, 4), layout="constrained")
        left, right = figure.subplots(1, 2)
        _steps(left, study)
        _catches(right, study)
        figure.suptitle(f"{study.desired.key.name}, {study.expected.scenario.requests_per_second:g} requests a second")
        kind = Path(path).suffix
        dateless = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(kind)
        try:
            figure.savefig(path, metadata=dateless)
        except OSError as error:
            raise NoPicture(f"--plot: {path} cannot be written: {error}") from error


def _steps(axes: "Axes", study: Study) -> None:
    """The share of the expected candidate's rollouts that have reached each weight."""
    scenario, count = study.expected.scenario, len(study.expected.runs)
    lines = {f"{weight} %": _reached(study.expected, weight) for weight in _weights(study)}
    lines["promoted"] = [run.seconds for run in study.expected.runs if run.ending is Ending.PROMOTED]
    _rising(axes, lines, count)
    axes.set(
        title=f"How long: a candidate {difference_text(scenario.tested, scenario.stable)}",
        ylabel="share of rollouts there",
    )
    axes.set_xlim(left=0)


def _weights(study: Study) -> list[int]:
    return [*(step.weight for step in study.desired.rollout.steps), 100]


def _reached(runs: Runs, weight: int) -> list[float]:
    """When each run that got so far came to the weight."""
    moments = []
    for run in runs.runs:
        before = [step.weight for step in run.steps]
        if weight in before:
            moments.append(run.getting_ready + sum(step.seconds for step in run.steps[: before.index(weight)]))
    return moments


def _catches(axes: "Axes", study: Study) -> None:
    lines = {}
    for runs in (*study.worse, study.same):
        seconds = [run.seconds_to_rollback for run in runs.runs if run.seconds_to_rollback is not None]
        name = difference_text(runs.scenario.tested, runs.scenario.stable)
        lines[f"{name}: {per_cent(len(seconds) / len(runs.runs))}"] = seconds
    _rising(axes, lines, len(study.same.runs))
    axes.set(title="What it catches", ylabel="share rolled back", xscale="log")
    axes.xaxis.set_major_formatter("{x:g}")


def _rising(axes: "Axes", lines: dict[str, list[float]], of: int) -> None:
    """For each name the share of `of` that had come by then."""
    last = max((max(seconds) for seconds in lines.values() if seconds), default=60.0) / 60
    for name, seconds in lines.items():
        ordered = sorted(each / 60 for each in seconds)
        shares = [number / of for number in range(len(ordered) + 1)]
        axes.step([0.0, *ordered, last * 1.05], [*shares, shares[-1]], where="post", label=name)
    axes.set_xlabel("minutes")
    axes.set_ylim(-0.02, 1.02)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="best", frameon=False)


__all__ = ["NoPicture", "draw"]
