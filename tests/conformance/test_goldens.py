"""Every manifest we render, on a real API server: taken as it is, seen as unchanged, and applied again for nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelrollout.cluster.kinds import kind_of
from modelrollout.cluster.store import version_of
from modelrollout.domain.fragment import Fragment
from modelrollout.render.drift import differs
from tests.conformance.bench import Bench, owner_of

GOLDEN = Path(__file__).parents[1] / "render" / "golden"
CASES = sorted(path.stem for path in GOLDEN.glob("*.yaml"))


async def _here(bench: Bench, case: str) -> list[Fragment]:
    """The golden's manifests, moved to a ModelDeployment that is really there."""
    owner = owner_of(await bench.model_deployment())
    found: list[Fragment] = []
    for document in yaml.safe_load_all((GOLDEN / f"{case}.yaml").read_text()):
        metadata: dict[str, Any] = document["metadata"]
        metadata["namespace"] = bench.namespace
        metadata["ownerReferences"] = [owner.reference]
        found.append(Fragment.of(document))
    return found


@pytest.mark.parametrize("case", CASES)
async def test_what_was_applied_does_not_differ_and_is_applied_again_for_nothing(bench: Bench, case: str) -> None:
    manifests = await _here(bench, case)
    assert manifests
    for manifest in manifests:
        live = await bench.api.apply(manifest)
        assert not differs(manifest, live), json.dumps(live.get("spec", live), indent=1)
        again = await bench.api.apply(manifest)
        assert version_of(again) == version_of(live)


@pytest.mark.parametrize("case", CASES)
async def test_the_store_keeps_all_that_decides_whether_it_differs(bench: Bench, case: str) -> None:
    for manifest in await _here(bench, case):
        live = await bench.api.apply(manifest)
        kept = bench.store.get(kind_of(live), bench.namespace, live["metadata"]["name"])
        assert kept is not None
        assert not differs(manifest, kept)
