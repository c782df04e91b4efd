"""Traffic without a gateway: the stable Service opens to both revisions and closes again, judged by MLServer's series."""

import json
import queue
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from demo.load import question, understood
from tests.e2e.models import put_models
from tests.e2e.place import Place
from tests.e2e.specs import BY_EVIDENCE, BY_TIME, Document, a_rollout, a_server

REVISION = "modelrollout.dev/revision"


def _served_by_mlserver(place: Place, version: str, **given: Any) -> Document:
    resources = {"requests": {"cpu": "100m", "memory": "256Mi"}}
    runtime = {"preset": "mlserver", "image": place.world.image, "resources": resources, "readyTimeout": "60s"}
    model: Document = {"version": version, "uri": f"pvc://models/{version}"}
    return place.model(model=model, runtime=runtime, traffic={"router": "replicaRatio"}, **given)


@contextmanager
def _clients(place: Place, address: str) -> Iterator[Callable[[], Counter[str]]]:
    """A connection for each request, since connections are what a Service shares; counts answers by version."""
    body, over = json.dumps(question("fine")).encode(), threading.Event()
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()
    url = f"http://{address}/v2/models/model/infer"

    def one(seconds: float) -> str:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return understood(answer.read())[0]
        except OSError as error:
            return f"failed: {error}, at {time.strftime('%H:%M:%S')}"

    def ask() -> None:
        while not over.wait(0.1):
            heard.put(one(10))

    def so_far() -> Counter[str]:
        counted = Counter(total)
        while not heard.empty():
            counted[heard.get()] += 1
        total.update(counted - total)
        return counted

    # The Service is seconds old: kube-proxy is a while behind what the API server says, and nothing tells how long.
    place.until_so("the Service's address is known on the node", lambda: one(1) == "1", seconds=30)
    total: Counter[str] = Counter()
    threads = [threading.Thread(target=ask, daemon=True) for _ in range(5)]
    for thread in threads:
        thread.start()
    try:
        yield so_far
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_the_stable_service_opens_to_the_candidate_and_closes_behind_it(place: Place) -> None:
    put_models(place, "model", "1", "2")
    model: Document = {"rollout": a_rollout(50), "analysis": BY_EVIDENCE}
    first = place.deploy(_served_by_mlserver(place, "1", **model))
    service = place.child("Service")
    assert service["spec"]["selector"][REVISION] == first
    with _clients(place, service["spec"]["clusterIP"]) as answered:
        place.until_so("clients are answered", lambda: answered()["1"] > 10)
        place.apply(_served_by_mlserver(place, "2", **model))
        look = place.until("half of the pods are the candidate's", lambda look: _share(look.status) == {50})
        second = look.candidate
        assert REVISION not in place.child("Service")["spec"]["selector"]
        look = place.until_stable()
        assert look.stable == second and place.child("Service")["spec"]["selector"][REVISION] == second
        heard = answered()
    assert not [answer for answer in heard if answer.startswith("failed")], (heard, look.status["decisions"])
    assert set(heard) == {"1", "2"}
    decided = next(each for each in look.status["decisions"] if each["action"] == "Advance")
    assert decided["revision"] == second and decided["weight"] == 50
    assert "rest_server_requests_total" in decided.get("query", "")


def test_an_abort_closes_the_service_to_the_candidate(place: Place) -> None:
    model: Document = {"traffic": {"router": "replicaRatio"}, "rollout": a_rollout(50, pause=True), "analysis": BY_TIME}
    first = place.deploy(place.model("1", **model))
    place.apply(place.model("2", **model))
    look = place.until("half of the pods are the candidate's", lambda look: _share(look.status) == {50})
    second = look.candidate
    place.command(f"abort:{second}")
    look = place.until("rolled back", lambda look: look.phase == "RolledBack")
    assert place.child("Service")["spec"]["selector"][REVISION] == first
    place.until_so("its pods are gone", lambda: place.names("Deployment") == {f"model-{first}"})
    assert place.until("one revision is left", lambda look: len(look.status["revisions"]) == 1).stable == first


def test_a_runtime_without_series_is_told_before_anything_moves(place: Place) -> None:
    model: Document = {"traffic": {"router": "replicaRatio"}, "runtime": a_server(place.world.image)}
    first = place.deploy(place.model("1", analysis=BY_TIME, **model))
    place.apply(place.model("2", analysis=BY_EVIDENCE, **model))
    look = place.until("told", lambda look: look.condition("Ready") == ("False", "NoMetrics"))
    assert look.condition("Stalled") == ("True", "NoMetrics") and look.candidate == ""
    assert look.condition("Available")[0] == "True"
    place.stays(3, lambda look: look.candidate == "" and look.stable == first)
    assert place.names("Deployment") == {f"model-{first}"}
    place.apply(place.model("2", analysis=BY_TIME, **model))
    assert place.until_stable().stable != first


def _share(status: Document) -> set[int]:
    """Weights of the revisions that are there, as they really are."""
    return {each["weight"] for each in status.get("revisions", [])}
