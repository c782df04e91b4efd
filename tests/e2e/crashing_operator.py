"""The operator, which kills itself at one instant of a rollout. Run by tests as a script; no part of the product.

E2E_CRASH is `<instant>:<weight>`: the instant, when the candidate's weight becomes that many per cent:
`before-intent`  about to write the weight to status.rollout; nothing was written
`after-intent`   the weight is in status.rollout; the route was not written
`after-route`    the route was written; nothing was reported
"""

import os
import signal
import sys
from typing import Any

from modelrollout.__main__ import main
from modelrollout.cluster.api import KubernetesApi
from modelrollout.domain.fragment import Fragment
from modelrollout.domain.observed import Observed

INSTANT, _, _weight = os.environ["E2E_CRASH"].partition(":")
WEIGHT = int(_weight)
patch_status, apply = KubernetesApi.patch_status, KubernetesApi.apply


def _die_at(instant: str) -> None:
    if instant == INSTANT:
        os.kill(os.getpid(), signal.SIGKILL)


async def _patch_status(self: KubernetesApi, observed: Observed, status: Fragment) -> Any:
    raises = observed.intent.weight != WEIGHT and status.mapping["rollout"]["weight"] == WEIGHT
    if raises:
        _die_at("before-intent")
    answer = await patch_status(self, observed, status)
    if raises:
        _die_at("after-intent")
    return answer


async def _apply(self: KubernetesApi, manifest: Fragment, *, resource_version: str | None = None) -> Any:
    answer = await apply(self, manifest, resource_version=resource_version)
    document = manifest.mapping
    if document["kind"] == "HTTPRoute":
        weights = [backend["weight"] for backend in document["spec"]["rules"][0]["backendRefs"]]
        if weights[1:] == [WEIGHT]:
            _die_at("after-route")
    return answer


if __name__ == "__main__":
    setattr(KubernetesApi, "patch_status", _patch_status)  # noqa: B010 -- mypy minds an assignment
    setattr(KubernetesApi, "apply", _apply)  # noqa: B010
    sys.exit(main(["run"]))
