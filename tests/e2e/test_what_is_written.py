"""The audit log: what the operator asked of the API server, and what it did not. Named to be the last of the ring."""

import json
from collections.abc import Iterator
from typing import Any

from tests.e2e.place import Place
from tests.e2e.specs import a_rollout, waiting_for_a_person
from tests.e2e.world import ACCOUNT

REST = 60.0
QUIET = 8.0
"""Seconds without a request after which everything is believed to be at rest."""
OWNED = {
    "deployments",
    "services",
    "configmaps",
    "horizontalpodautoscalers",
    "poddisruptionbudgets",
    "httproutes",
    "controllerrevisions",
}
READ = {"get", "list", "watch"}


def _requests(place: Place, since: int = 0) -> Iterator[dict[str, Any]]:
    """Of our operator, from that byte of the log on."""
    with place.world.devcluster.audit_log.open("rb") as log:
        log.seek(since)
        for line in log:
            if line.endswith(b"\n") and ACCOUNT.encode() in line:
                request = json.loads(line)
                if request["user"]["username"] == ACCOUNT and request["stage"] == "ResponseComplete":
                    yield request


def _told(request: dict[str, Any]) -> str:
    return f"{request['requestReceivedTimestamp']} {request['verb']} {request['requestURI']}"


def _is_for_the_lease_or_a_watch(request: dict[str, Any]) -> bool:
    verb, resource = request["verb"], request.get("objectRef", {}).get("resource")
    return bool(verb == "watch" or resource == "leases")


def test_at_rest_nothing_is_asked_for_and_nothing_written(place: Place) -> None:
    """Of every kind of rest: autoscaled, fixed, paused, rolled back, waiting for a person."""
    autoscaled = {"mode": "hpa", "minReplicas": 1, "maxReplicas": 2}
    place.apply(place.model("1", "autoscaled", scaling=autoscaled))
    place.apply(place.model("1", "by-ratio", traffic={"router": "replicaRatio"}))
    place.apply(place.model("1", "taken-back", rollout=waiting_for_a_person(20)))
    place.apply(place.model("1", "waiting", rollout=waiting_for_a_person(20)))
    place.apply(place.model("1", "paused"))
    for name in ("autoscaled", "by-ratio", "taken-back", "waiting", "paused"):
        place.until_stable(name)
    place.apply(place.model("2", "autoscaled", scaling=autoscaled, rollout=a_rollout(50)))
    for name in ("taken-back", "waiting"):
        place.apply(place.model("2", name, rollout=waiting_for_a_person(20)))
    place.apply(place.model("2", "paused", paused=True))
    candidate = place.until_weight(20, "taken-back").candidate
    place.command(f"abort:{candidate}", "taken-back")
    place.until("rolled back", lambda look: look.phase == "RolledBack", "taken-back")
    place.until("waits", lambda look: look.phase == "Paused" and look.weight == 20, "waiting")
    place.until("paused", lambda look: look.phase == "Paused", "paused")
    place.until_stable("autoscaled")
    place.until_so("what other tests left is collected", lambda: _terminating(place) == [], seconds=120)
    place.operators.stop()
    place.operators.on_host()  # begins its ten minutes until the resync anew
    since = _at_rest(place)
    before = {change.version for change in place.happened() if change.kind == "ModelDeployment"}
    place.stays(REST, lambda _: True)
    asked = [_told(request) for request in _requests(place, since) if not _is_for_the_lease_or_a_watch(request)]
    assert asked == []
    assert {change.version for change in place.happened() if change.kind == "ModelDeployment"} == before


def _terminating(place: Place) -> list[str]:
    """Namespaces on their way out: until they are gone, the operator may find a child missing in them."""
    spaces = place.world.api.items("Namespace")
    return [space["metadata"]["name"] for space in spaces if "deletionTimestamp" in space["metadata"]]


def _at_rest(place: Place) -> int:
    """Wait until the operator asks for nothing any more; where the log ends then."""
    log = place.world.devcluster.audit_log

    def is_quiet() -> bool:
        since = log.stat().st_size
        place.world.history.until(lambda: False, QUIET)
        return all(_is_for_the_lease_or_a_watch(request) for request in _requests(place, since))

    place.until_so("nothing is asked for", is_quiet, seconds=90)
    return log.stat().st_size


def test_no_spec_was_written_by_us_in_the_whole_session(place: Place) -> None:
    place.deploy(place.model())  # so that there is something to see when this is run alone
    writes = [request for request in _requests(place) if request["verb"] not in READ]
    on_ours = [each for each in writes if each.get("objectRef", {}).get("resource") == "modeldeployments"]
    assert on_ours, "the audit log does not tell of our operator"
    assert [_told(each) for each in on_ours if each["objectRef"].get("subresource") != "status"] == []


def test_nothing_but_what_we_own_was_written_and_no_right_was_missing(place: Place) -> None:
    place.deploy(place.model())
    requests = list(_requests(place))
    writes = [each for each in requests if each["verb"] not in READ]
    allowed = OWNED | {"modeldeployments", "events", "leases"}
    assert [_told(each) for each in writes if each.get("objectRef", {}).get("resource") not in allowed] == []
    forbidden = [each for each in requests if each["responseStatus"].get("code") in (401, 403)]
    assert [_told(each) for each in forbidden if "because it is being terminated" not in _why(each)] == []


def _why(request: dict[str, Any]) -> str:
    return str(request["responseStatus"].get("message", ""))
