"""A ControllerRevision of ours read back as a Snapshot. Pure; the other half of `Templates.snapshot`."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from modelrollout import names
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.revision import Snapshot


def snapshot_from(live: Mapping[str, Any]) -> Snapshot:
    """The revision as it was frozen; ValueError where the object is not one of ours.

    What it says is not trusted further than that: a pod template is checked again when it becomes a Deployment.
    """
    name = live.get("metadata", {}).get("name")
    try:
        data = live["data"]
        revision = data["revision"]
        if live["metadata"]["labels"][names.REVISION_LABEL] != revision:
            raise ValueError(f"the ControllerRevision {name} is labelled as another revision than it holds")
        return Snapshot(
            revision=revision,
            number=int(live["revision"]),
            version=data["version"],
            preset=data["preset"],
            template_version=int(data["templateVersion"]),
            pod_template=Fragment.of(data["podTemplate"]),
            ready_timeout=timedelta(seconds=float(data["readyTimeoutSeconds"])),
            model=Fragment.of(data["model"]),
            runtime=Fragment.of(data["runtime"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"the ControllerRevision {name} is no snapshot of ours: {error!r}") from error
