"""Replayed rollouts in words and numbers: what would have been decided, next to what happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from modelrollout.domain.intent_document import timestamp
from modelrollout.domain.judgement import Action
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.simulate.retell import Retold
from modelrollout.simulate.tables import Page, Table, seconds_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One ModelDeployment's past. `untold`: of which rollouts nothing can be said, and why."""

    desired: ModelDeployment
    retold: tuple[Retold, ...]
    untold: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        key = self.desired.key
        return f"{key.namespace}/{key.name}" if key.namespace else key.name


def replay_told(replayed: Sequence[Replayed]) -> Page:
    pairs = [(each, retold) for each in replayed for retold in each.retold]
    stopped = sum(retold.stopped is not None for _, retold in pairs)
    untold = [f"{each.name}: {sentence}." for each in replayed for sentence in each.untold]
    return Page(
        title=f"{len(pairs)} past rollouts, {stopped} of them would have been rolled back",
        tables=(_overview(pairs), *(_decisions(each, retold) for each, retold in pairs)) if pairs else (),
        document={
            "rollouts": [_document(each, retold) for each, retold in pairs],
            "untold": untold,
        },
        remarks=("Judged with the settings of the file. Weights moved as they did.", *untold),
    )


def verdict(retold: Retold) -> str:
    """What would have become of it."""
    if retold.evidence is None or retold.evidence.block_seq == 0:
        return "nothing known: no samples of both revisions"
    stopped = retold.stopped
    if stopped is None:
        held = next((turn for turn in retold.turns if turn.judgement.action is Action.HOLD), None)
        return "gone through" + (f", held at {held.weight} % ({held.judgement.reason})" if held else "")
    judgement = stopped.judgement
    why = " ".join(filter(None, (judgement.reason, judgement.culprit)))
    after = seconds_text(stopped.at - retold.rollout.begun)
    return f"rolled back at {stopped.weight} % after {after} ({why})"


def _overview(pairs: Sequence[tuple[Replayed, Retold]]) -> Table:
    rows = tuple(
        (
            each.name,
            f"{retold.rollout.stable} → {retold.rollout.candidate}",
            _when(retold.rollout.begun),
            f"{retold.rollout.ending or 'not said'} after {seconds_text(retold.rollout.ended - retold.rollout.begun)}",
            verdict(retold),
        )
        for each, retold in pairs
    )
    head = ("model", "revisions", "began", "it was", "it would have been")
    return Table(title="What happened, and what would have", head=head, rows=rows, prose=(1, 2, 3, 4))


def _decisions(each: Replayed, retold: Retold) -> Table:
    rows = tuple(
        (_when(turn.at), f"{turn.weight} %", str(turn.judgement.action), turn.judgement.sentence)
        for turn in retold.turns
    )
    title = f"{each.name}, {retold.rollout.stable} → {retold.rollout.candidate}"
    return Table(title=title, head=("time", "weight", "decision", "because"), rows=rows, prose=(2, 3))


def _document(each: Replayed, retold: Retold) -> dict[str, Any]:
    stopped = retold.stopped
    return {
        "namespace": each.desired.key.namespace,
        "name": each.desired.key.name,
        "stable": retold.rollout.stable,
        "candidate": retold.rollout.candidate,
        "began": _timestamp(retold.rollout.begun),
        "ended": _timestamp(retold.rollout.ended),
        "ending": retold.rollout.ending,
        "blocks": retold.evidence.block_seq if retold.evidence else 0,
        "rolledBack": stopped is not None,
        "rolledBackAt": _timestamp(stopped.at) if stopped else None,
        "decisions": [
            {
                "time": _timestamp(turn.at),
                "weight": turn.weight,
                "action": str(turn.judgement.action),
                "reason": turn.judgement.reason,
                "sentence": turn.judgement.sentence,
            }
            for turn in retold.turns
        ],
    }


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _timestamp(seconds: float) -> str:
    return timestamp(datetime.fromtimestamp(seconds, UTC))
