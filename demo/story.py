"""Tells the story: applies version after version, follows what becomes of each, and counts what users saw."""

import queue
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from demo import users
from demo.chapters import CHAPTERS, Chapter, manifest
from demo.load import sending
from demo.models import VERSIONS
from demo.stage import Stage, train
from demo.status import Status
from demo.timeline import Timeline, happenings

QUICKSTART = Path(__file__).parents[1] / "examples" / "quickstart" / "modeldeployment.yaml"
RATE = 60.0
"""Requests per second: MLServer takes one CPU core for about 400, and two cores carry the whole cluster."""
CALM = 4.0
"""Seconds that users are watched after each chapter, to see that it is really over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """Everything that a chapter needs while it is told."""

    here: Stage
    timeline: Timeline
    changes: "queue.Queue[Status]"
    records: Path


def tell(here: Stage, timeline: Timeline) -> bool:
    """Whether the story came out as told."""
    timeline.say("training the models, in a pod of the image that will serve them")
    timeline.show(train(here))
    here.kubectl("delete", "modeldeployment", "sentiment", "-n", "shop", "--ignore-not-found", "--cascade=foreground")
    with tempfile.TemporaryDirectory(prefix="modelrollout-demo-") as folder, here.kubectl.watching() as changes:
        records = Path(folder) / "requests.tsv"
        records.touch()
        telling = Telling(here=here, timeline=timeline, changes=changes, records=records)
        surprises = _all_chapters(telling)
        timeline.title("the end")
        timeline.show(users.table(users.read(records.read_text().splitlines(keepends=True))))
    for surprise in surprises:
        timeline.say(f"NOT AS TOLD: {surprise}")
    if not surprises:
        timeline.say("The story came out as told: good versions went up, bad ones came back, by themselves.")
    return not surprises


def _all_chapters(telling: Telling) -> list[str]:
    first, *others = CHAPTERS
    status, surprises = _chapter(telling, first, Status())
    if surprises:
        return surprises
    with sending(telling.here.target, rate=RATE, records=telling.records):
        telling.timeline.say(f"users arrive: {RATE:.0f} requests a second from now on, through the Gateway")
        time.sleep(CALM)
        for chapter in others:
            status, found = _chapter(telling, chapter, status)
            surprises += found
            if not status.phase:
                break
    return surprises


def _chapter(telling: Telling, chapter: Chapter, status: Status) -> tuple[Status, list[str]]:
    """The status at its end (an empty one if it has none), and what did not come out as told."""
    timeline, kubectl = telling.timeline, telling.here.kubectl
    timeline.title(f"version {chapter.version}: {VERSIONS[chapter.version].idea}")
    timeline.say(f"kubectl apply version {chapter.version} ({chapter.told})")
    since = time.time()
    kubectl.apply(manifest(_quickstart(), chapter.version, image=telling.here.image))
    end = _followed(telling, chapter, status)
    if end is None:
        timeline.show(kubectl("describe", "modeldeployment", "sentiment", "-n", "shop").splitlines())
        return Status(), [f"version {chapter.version} came to no end within {chapter.patience:.0f} s"]
    timeline.show(kubectl("get", "md", "-n", "shop", "-o", "wide").splitlines())
    if chapter is CHAPTERS[0]:
        return end, list(chapter.surprises(end, ()))
    time.sleep(CALM)
    seen = users.between(users.read(telling.records.read_text().splitlines(keepends=True)), since, time.time())
    timeline.show(users.table(seen))
    return end, list(chapter.surprises(end, seen))


def _followed(telling: Telling, chapter: Chapter, status: Status) -> Status | None:
    """Tell each change as it comes; the status at the chapter's end, None if its patience was over first."""
    deadline = time.monotonic() + chapter.patience
    while (left := deadline - time.monotonic()) > 0:
        try:
            after = telling.changes.get(timeout=left)
        except queue.Empty:
            break
        for line in happenings(status, after):
            telling.timeline.say(line)
        status = after
        if chapter.is_over(status):
            return status
    return None


def _quickstart() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(QUICKSTART.read_text())
    return document
