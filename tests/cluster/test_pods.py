"""Each trouble of a pod from the status that a kubelet or scheduler really writes."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from modelrollout.cluster.pods import image_digest, is_finished, read_pod, trouble
from modelrollout.domain.conditions import Reason
from tests.cluster.live import a_container, a_pod, ended, waiting

OUT_OF_MEMORY = ended(137, "OOMKilled")


def _server(**status: Any) -> dict[str, Any]:
    return a_pod(server=status)


def _unscheduled(message: str, reason: str = "Unschedulable") -> dict[str, Any]:
    return a_pod(
        phase="Pending", conditions={"PodScheduled": {"status": "False", "reason": reason, "message": message}}
    )


NO_CPU = (
    "0/3 nodes are available: 1 node(s) had untolerated taint {nvidia.com/gpu: present}, 2 Insufficient cpu. "
    "preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found "
    "for incoming pod."
)
NO_CLAIM = '0/1 nodes are available: persistentvolumeclaim "models" not found. not found'
BACKOFF = 'Back-off pulling image "registry.example/mlserver:1": ErrImagePull: rpc error: code = NotFound desc = '
AS_ROOT = (
    'container has runAsNonRoot and image will run as root (pod: "sentiment-bbbbbbbb-7d9f8c6b5-x2x4z_shop(8d9f0a1b'
    '-0000-4000-8000-000000000001)", container: server)'
)
NO_PROGRAM = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    'unable to start container process: error during container init: exec: "mlservr": executable file not found in '
    "$PATH: unknown"
)

CASES: dict[str, tuple[dict[str, Any], Reason, str]] = {
    "no node has room": (_unscheduled(NO_CPU), Reason.UNSCHEDULABLE, "Insufficient cpu; node(s) had untolerated taint"),
    "a queue holds the pod back": (_unscheduled("", "SchedulingGated"), Reason.UNSCHEDULABLE, "scheduling gate"),
    "the volume claim is missing": (
        _unscheduled(NO_CLAIM),
        Reason.CONFIGURATION_MISSING,
        "PersistentVolumeClaim models",
    ),
    "the registry does not have the image": (
        _server(state=waiting("ImagePullBackOff", BACKOFF + "failed to pull and unpack image: not found")),
        Reason.IMAGE_NOT_PULLABLE,
        "does not have it",
    ),
    "the registry wants a password": (
        _server(state=waiting("ErrImagePull", "failed to authorize: 401 Unauthorized")),
        Reason.IMAGE_NOT_PULLABLE,
        "imagePullSecrets",
    ),
    "the registry cannot be reached": (
        _server(state=waiting("ErrImagePull", "dial tcp: lookup registry.example: no such host")),
        Reason.IMAGE_NOT_PULLABLE,
        "cannot be reached",
    ),
    "the image's name is no name": (
        _server(state=waiting("InvalidImageName", "couldn't parse image name")),
        Reason.IMAGE_NOT_PULLABLE,
        "not valid",
    ),
    "the image is not on the node and may not be pulled": (
        _server(state=waiting("ErrImageNeverPull", "is not present with pull policy of Never")),
        Reason.IMAGE_NOT_PULLABLE,
        "pull policy is Never",
    ),
    "a secret of the environment is missing": (
        _server(state=waiting("CreateContainerConfigError", 'secret "scorer" not found')),
        Reason.CONFIGURATION_MISSING,
        'secret "scorer" not found. Create what is missing',
    ),
    "a key of a config map is missing": (
        _server(state=waiting("CreateContainerConfigError", "couldn't find key token in ConfigMap shop/scorer")),
        Reason.CONFIGURATION_MISSING,
        "couldn't find key token",
    ),
    "the image wants to be root": (
        _server(state=waiting("CreateContainerConfigError", AS_ROOT)),
        Reason.CONFIGURATION_MISSING,
        "image will run as root. Pods run as non-root here",
    ),
    "the program is not in the image": (
        _server(state=waiting("RunContainerError", NO_PROGRAM)),
        Reason.CRASH_LOOP,
        "executable file not found",
    ),
    "the program was not in the image the last times either": (
        _server(
            state=waiting("CrashLoopBackOff", "back-off 20s restarting failed container"),
            restartCount=2,
            lastState=ended(128, "StartError", NO_PROGRAM),
        ),
        Reason.CRASH_LOOP,
        "executable file not found",
    ),
    "the server crashes again and again": (
        _server(
            state=waiting("CrashLoopBackOff", "back-off 10s restarting failed container=server"),
            restartCount=1,
            lastState=ended(1, message="Traceback (most recent call last):\n  File \"x.py\"\nKeyError: 'weights'\n"),
        ),
        Reason.CRASH_LOOP,
        "exits with code 1: KeyError: 'weights'. Read its log",
    ),
    "the server crashes for the second time just now": (
        _server(state=ended(3), restartCount=1, lastState=ended(3)),
        Reason.CRASH_LOOP,
        "exits with code 3. Read",
    ),
    "the server starts again after its second crash": (
        _server(restartCount=2, lastState=ended(3)),
        Reason.CRASH_LOOP,
        "exits with code 3. Read",
    ),
    "memory was not enough": (_server(state=OUT_OF_MEMORY), Reason.OUT_OF_MEMORY, "limits.memory"),
    "memory is never enough": (
        _server(state=waiting("CrashLoopBackOff"), restartCount=3, lastState=OUT_OF_MEMORY),
        Reason.OUT_OF_MEMORY,
        "limits.memory",
    ),
    "memory was not enough, the next try loads": (
        _server(restartCount=1, lastState=OUT_OF_MEMORY),
        Reason.OUT_OF_MEMORY,
        "limits.memory",
    ),
    "the server runs and its model loads": (_server(), Reason.MODEL_NOT_LOADED, "not loaded"),
    "the server ends by itself because its model does not load": (
        _server(state=waiting("CrashLoopBackOff"), restartCount=2, lastState=ended(0, "Completed")),
        Reason.MODEL_NOT_LOADED,
        "model does not load",
    ),
    "the kubelet stops a server that never loads": (
        _server(
            state=waiting("CrashLoopBackOff"), restartCount=1, lastState=ended(137, began="03:01:00", end="03:11:30")
        ),
        Reason.MODEL_NOT_LOADED,
        "readyTimeout",
    ),
    "the server is up but not ready": (_server(started=True), Reason.READINESS_FAILING, "container server fails"),
    "the server that was ready is not any more, whatever it did yesterday": (
        _server(started=True, restartCount=9, lastState=ended(1)),
        Reason.READINESS_FAILING,
        "container server fails",
    ),
    "a proxy beside the server is not ready": (
        a_pod(server={"started": True, "ready": True}, beside=(a_container("proxy", started=True),)),
        Reason.READINESS_FAILING,
        "container proxy fails",
    ),
    "the node is lost": (_server(started=True, ready=True), Reason.READINESS_FAILING, "node"),
    "a container that fetches the model crashes": (
        a_pod(init=(a_container("fetch", state=waiting("CrashLoopBackOff"), restartCount=2, lastState=ended(2)),)),
        Reason.CRASH_LOOP,
        "Container fetch exits with code 2",
    ),
}


@pytest.mark.parametrize("sentence", CASES)
def test_a_pods_trouble_is_told_apart_at_once(sentence: str) -> None:
    pod, reason, words = CASES[sentence]
    remark = trouble(pod)
    assert remark is not None
    assert (remark.reason, words in remark.message) == (reason, True), remark


@pytest.mark.parametrize("sentence", CASES)
def test_a_message_ends_with_what_to_do_and_names_no_pod(sentence: str) -> None:
    remark = trouble(CASES[sentence][0])
    assert remark is not None
    assert "x2x4z" not in remark.message
    assert "2026" not in remark.message
    assert remark.message.endswith((".", "`"))
    assert ".." not in remark.message


STARTING = {
    "the scheduler has not looked yet": a_pod(phase="Pending", conditions={"PodScheduled": {"status": "False"}}),
    "the node prepares the container": _server(state=waiting("ContainerCreating")),
    "the model is fetched first": a_pod(
        server={"state": waiting("PodInitializing")}, init=(a_container("fetch", started=True),)
    ),
    "the model was fetched at the second try": a_pod(
        server={"state": waiting("PodInitializing")},
        init=(a_container("fetch", restartCount=1, state=ended(0, "Completed"), lastState=ended(1)),),
    ),
    "nothing is known of containers yet": a_pod(),
    "the server crashed once": _server(state=ended(1)),
    "a status is not there yet": {**a_pod(), "status": {}},
}


@pytest.mark.parametrize("sentence", STARTING)
def test_a_pod_that_is_just_starting_has_no_trouble(sentence: str) -> None:
    assert trouble(STARTING[sentence]) is None


def test_the_same_trouble_gives_the_same_words_from_try_to_try() -> None:
    tries = [
        _server(state=waiting("CrashLoopBackOff", "back-off 10s"), restartCount=2, lastState=ended(1, message="boom")),
        _server(restartCount=3, lastState=ended(1, message="2026-11-22T03:00:00.123Z boom", end="03:01:09")),
        _server(state=ended(1, message="boom"), restartCount=3, lastState=ended(1, message="boom")),
    ]
    assert len({trouble(each) for each in tries}) == 1


def test_a_scheduler_that_counts_other_nodes_says_the_same() -> None:
    fewer = NO_CPU.replace("0/3", "0/2").replace("2 Insufficient", "1 Insufficient")
    assert trouble(_unscheduled(fewer)) == trouble(_unscheduled(NO_CPU))


def test_a_server_that_ended_after_a_long_run_is_no_crash_loop() -> None:
    pod = _server(restartCount=4, lastState=ended(1, began="01:00:00", end="03:00:00"))
    remark = trouble(pod)
    assert remark is not None
    assert remark.reason is Reason.MODEL_NOT_LOADED


def test_a_ready_pod_has_no_trouble_whatever_it_went_through() -> None:
    pod = read_pod(a_pod(ready=True, server={"started": True, "ready": True, "restartCount": 5, "lastState": ended(1)}))
    assert pod.ready
    assert pod.trouble is None
    assert pod.restarts == 5


def test_a_pod_on_its_way_out_is_in_no_trouble() -> None:
    live = _server(started=True)
    live["metadata"]["deletionTimestamp"] = "2026-11-22T03:05:00Z"
    pod = read_pod(live)
    assert pod.deleting
    assert pod.trouble is None


def test_restarts_are_those_of_the_server_and_of_nothing_beside_it() -> None:
    pod = read_pod(a_pod(server={"restartCount": 2}, beside=(a_container("proxy", restartCount=7),)))
    assert pod.restarts == 2


def test_a_pod_that_was_never_ready_changed_last_when_it_was_made() -> None:
    first_look = {"Ready": {"status": "False", "lastTransitionTime": "2026-11-22T03:00:02Z"}}
    pod = read_pod(a_pod(conditions=first_look, server={}))
    assert pod.ready_changed == pod.created


def test_a_pod_that_was_ready_changed_last_when_it_lost_that() -> None:
    pod = read_pod(a_pod(server={"started": True}))
    assert pod.ready_changed == datetime(2026, 11, 22, 3, 0, 30, tzinfo=UTC)


def test_the_digest_is_that_of_the_running_server() -> None:
    image = "registry.example/mlserver@sha256:" + "0" * 64
    assert image_digest(_server(imageID=image)) == "sha256:" + "0" * 64
    assert image_digest(_server(imageID=image, state=waiting("CrashLoopBackOff"))) == ""


def test_a_pod_that_was_evicted_is_finished() -> None:
    assert is_finished(a_pod(phase="Failed"))
    assert not is_finished(a_pod())


def test_reading_a_pod_changes_nothing_of_it() -> None:
    for live, _, _ in CASES.values():
        before = json.dumps(live)
        read_pod(live)
        assert json.dumps(live) == before
