"""Whose an object is: the controller ownerReference decides, labels never do. Pure."""

from collections.abc import Mapping
from typing import Any

from modelrollout import names
from modelrollout.cluster.kinds import Live


def controller_of(live: Live) -> Mapping[str, Any] | None:
    """The ownerReference of the one controller, if it has one."""
    references = live["metadata"].get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), None)


def is_owned_by(live: Live, uid: str) -> bool:
    controller = controller_of(live)
    return controller is not None and controller["uid"] == uid


def is_leftover(live: Live, owner: Mapping[str, Any]) -> bool:
    """Of a ModelDeployment of the same name that was deleted: garbage collection is about to take it."""
    controller = controller_of(live)
    return (
        controller is not None
        and controller["kind"] == names.KIND
        and controller["apiVersion"].partition("/")[0] == names.GROUP
        and controller["name"] == owner["name"]
        and controller["uid"] != owner["uid"]
    )
