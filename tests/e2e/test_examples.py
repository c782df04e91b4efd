"""Each of examples/ serves users as it is written: but for the image, the namespace and the size of its pods."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from demo.load import question, understood
from tests.e2e.api import RefusedError, path_of
from tests.e2e.models import put_models
from tests.e2e.place import Place

EXAMPLES = Path(__file__).parents[2] / "examples"
SIZE = {"requests": {"cpu": "100m", "memory": "256Mi"}}


@pytest.mark.parametrize("example", sorted(path.parent.name for path in EXAMPLES.glob("*/modeldeployment.yaml")))
def test_an_example_serves_users(place: Place, example: str) -> None:
    document = yaml.safe_load((EXAMPLES / example / "modeldeployment.yaml").read_text())
    version, name = document["spec"]["model"]["version"], document["metadata"]["name"]
    put_models(place, name, version, under=name)
    document["metadata"]["namespace"] = place.namespace
    document["spec"]["runtime"] |= {"image": place.world.image, "resources": SIZE}
    document["spec"]["traffic"]["gatewayAPI"]["hostnames"] = [place.host(name)]
    place.deploy(document)
    assert _answer(place, name) == (version, "positive")


def _answer(place: Place, name: str) -> tuple[str, str]:
    """Version and verdict, or what was said instead."""
    url = f"http://{place.world.gateway}/v2/models/{name}/infer"
    headers = {"Content-Type": "application/json", "Host": place.host(name)}
    request = urllib.request.Request(url, json.dumps(question("fine")).encode(), headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return understood(answer.read())
    except urllib.error.HTTPError as error:
        return str(error.code), error.read().decode(errors="replace")[:200]


def test_what_wants_more_than_the_restricted_standard_is_refused_where_all_these_tests_play(place: Place) -> None:
    """So every other test shows that our pods pass it."""
    container = {"name": "server", "image": place.world.image, "securityContext": {"privileged": True}}
    pod = {"metadata": {"name": "greedy"}, "spec": {"hostNetwork": True, "containers": [container]}}
    with pytest.raises(RefusedError, match='violates PodSecurity "restricted'):
        place.world.api.request("POST", path_of("Pod", place.namespace), pod)
