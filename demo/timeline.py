"""Tells people what happens, a line each with the time since the start."""

import sys
import textwrap
import time
from collections.abc import Iterable

from demo.status import Decision, Status

WIDTH = 118
MARGIN = " " * 7


class Timeline:
    """Writes `m:ss  text`; what belongs to a line above is indented under it."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._started

    def title(self, text: str) -> None:
        minutes, seconds = divmod(int(self.elapsed), 60)
        self._write(f"\n{minutes:2d}:{seconds:02d}  ━━ {text} ".ljust(WIDTH, "━"))

    def say(self, text: str) -> None:
        minutes, seconds = divmod(int(self.elapsed), 60)
        self._write(
            textwrap.fill(text, WIDTH, initial_indent=f"{minutes:2d}:{seconds:02d}  ", subsequent_indent=MARGIN)
        )

    def show(self, lines: Iterable[str]) -> None:
        """A table or a command's output, as it is."""
        self._write("".join(f"{MARGIN}{line}\n" for line in lines).rstrip("\n"))

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def happenings(before: Status, after: Status) -> tuple[str, ...]:
    """What a person would want to know of, between two looks; nothing twice."""
    told = [told_decision(each) for each in after.decisions if each not in before.decisions]
    if after.weight != before.weight and after.candidate_version:
        step = f" (step {after.step})" if after.step else ""
        told.append(f"→ version {after.candidate_version} gets {after.weight} %{step}")
    if after.phase != before.phase and not _only_prepares(after):
        told_already = any(decision.message == after.message for decision in after.decisions)
        told.append(after.phase if told_already else f"{after.phase}: {after.message}")
    return tuple(told)


def _only_prepares(status: Status) -> bool:
    """Before there is a candidate the operator speaks of its own book-keeping; the decision to start follows."""
    return status.phase in ("Deploying", "Progressing") and not status.candidate_version


_SIGNS = {"Rollback": "✗", "Promote": "✓", "Advance": "✓"}


def told_decision(decision: Decision) -> str:
    """`✗ Rollback at 10 %, verdict Fail: latency 0.97, tolerated 0.02, in 23 requests. …`; no figures twice."""
    where = f" at {decision.weight} %" if decision.weight else ""
    verdict = f", verdict {decision.verdict}" if decision.verdict else ""
    figures = "" if decision.metric and f"`{decision.metric}" in decision.message else _figures(decision)
    head = f"{_SIGNS.get(decision.action, '·')} {decision.action}{where}{verdict}"
    return f"{head}{': ' + figures if figures else ''}. {decision.message}".rstrip()


def _figures(decision: Decision) -> str:
    numbers = [f"{decision.metric} {decision.value:.4g}" if decision.metric and decision.value is not None else ""]
    numbers.append(f"tolerated {decision.threshold:.4g}" if decision.threshold is not None else "")
    numbers.append(f"in {decision.samples} requests" if decision.samples is not None else "")
    return ", ".join(number for number in numbers if number)
