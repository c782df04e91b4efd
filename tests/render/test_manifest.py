"""`Manifest.checked`: what is refused, sentence by sentence."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from modelrollout.domain.model_deployment import Key
from modelrollout.render.environment import Unrenderable
from modelrollout.render.manifest import Manifest, Owner, is_label_value
from modelrollout.render.templates import Templates
from tests.render.cases import CASES, OWNER, quickstart, route_of_two

TEMPLATES = Templates.load()
DOCUMENTS = {manifest.kind: manifest.document for manifest in (*quickstart(TEMPLATES), *route_of_two(TEMPLATES))}


def changed(kind: str, change: Callable[[Any], object]) -> Any:
    document = DOCUMENTS[kind].value
    change(document)
    return document


def template(document: Any) -> Any:
    return document["spec"]["template"]


def pod(document: Any) -> Any:
    return template(document)["spec"]


def container(document: Any) -> Any:
    return pod(document)["containers"][0]


REFUSED: dict[str, tuple[str, Callable[[Any], object]]] = {
    "a kind that is not ours": ("Deployment", lambda d: d.update(kind="DaemonSet")),
    "a secret": ("Service", lambda d: d.update(kind="Secret")),
    "another version of a kind": ("Deployment", lambda d: d.update(apiVersion="apps/v1beta1")),
    "another namespace": ("Service", lambda d: d["metadata"].update(namespace="kube-system")),
    "no namespace": ("Service", lambda d: d["metadata"].pop("namespace")),
    "a foreign name": ("Service", lambda d: d["metadata"].update(name="other")),
    "a name that only begins alike": ("Service", lambda d: d["metadata"].update(name="sentimental")),
    "a name without an end": ("Service", lambda d: d["metadata"].update(name="sentiment-" + "a" * 60)),
    "a generated name": ("Service", lambda d: d["metadata"].update(generateName="sentiment-")),
    "a finalizer": ("Service", lambda d: d["metadata"].update(finalizers=["a/b"])),
    "no owner": ("Service", lambda d: d["metadata"].pop("ownerReferences")),
    "a second owner": ("Service", lambda d: d["metadata"]["ownerReferences"].append({"uid": "x"})),
    "another owner": ("Service", lambda d: d["metadata"]["ownerReferences"][0].update(uid="x")),
    "no label of ours": ("Service", lambda d: d["metadata"]["labels"].pop("modelrollout.dev/deployment")),
    "a label that is none": ("Service", lambda d: d["metadata"]["labels"].update({"a": "b c"})),
    "a label that is no text": ("Service", lambda d: d["metadata"]["labels"].update({"a": 1})),
    "a status": ("Deployment", lambda d: d.update(status={})),
    "replicas": ("Deployment", lambda d: d["spec"].update(replicas=3)),
    "no replicas, but said": ("Deployment", lambda d: d["spec"].update(replicas=None)),
    "a selector of others' pods": ("Deployment", lambda d: d["spec"]["selector"].update(matchLabels={"app": "a"})),
    "pods that it does not select": (
        "Deployment",
        lambda d: template(d)["metadata"]["labels"].update({"modelrollout.dev/revision": "zzzzzzzz"}),
    ),
    "a host's network": ("Deployment", lambda d: pod(d).update(hostNetwork=True)),
    "a host's processes": ("Deployment", lambda d: pod(d).update(hostPID=True)),
    "a node of its choosing": ("Deployment", lambda d: pod(d).update(nodeName="a")),
    "an init container": ("Deployment", lambda d: pod(d).update(initContainers=[{}])),
    "an ephemeral container": ("Deployment", lambda d: pod(d).update(ephemeralContainers=[{}])),
    "a second container": ("Deployment", lambda d: pod(d)["containers"].append({"name": "a"})),
    "a token": ("Deployment", lambda d: pod(d).update(automountServiceAccountToken=True)),
    "a token by default": ("Deployment", lambda d: pod(d).pop("automountServiceAccountToken")),
    "a root user": ("Deployment", lambda d: pod(d)["securityContext"].update(runAsUser=0)),
    "a user that may be root": ("Deployment", lambda d: pod(d)["securityContext"].pop("runAsNonRoot")),
    "no seccomp": ("Deployment", lambda d: pod(d)["securityContext"].update(seccompProfile={"type": "Unconfined"})),
    "a sysctl": ("Deployment", lambda d: pod(d)["securityContext"].update(sysctls=[])),
    "a privileged container": ("Deployment", lambda d: container(d)["securityContext"].update(privileged=True)),
    "an escalation": ("Deployment", lambda d: container(d)["securityContext"].pop("allowPrivilegeEscalation")),
    "a capability": ("Deployment", lambda d: container(d)["securityContext"].update(capabilities={"add": ["ALL"]})),
    "a root container": ("Deployment", lambda d: container(d)["securityContext"].update(runAsUser=0)),
    "a device": ("Deployment", lambda d: container(d).update(volumeDevices=[{}])),
    "a host's port": ("Deployment", lambda d: container(d)["ports"][0].update(hostPort=80)),
    "a host's folder": ("Deployment", lambda d: pod(d)["volumes"].append({"name": "a", "hostPath": {"path": "/"}})),
    "a token's volume": (
        "Deployment",
        lambda d: pod(d)["volumes"].append({"name": "a", "projected": {"sources": [{"serviceAccountToken": {}}]}}),
    ),
    "a probe elsewhere": ("Deployment", lambda d: container(d)["livenessProbe"]["httpGet"].update(host="a")),
    "a hook after the start": ("Deployment", lambda d: container(d)["lifecycle"].update(postStart={})),
    "a snapshot of a privileged pod": (
        "ControllerRevision",
        lambda d: d["data"]["podTemplate"]["spec"].update(hostNetwork=True),
    ),
    "a snapshot without a pod": ("ControllerRevision", lambda d: d["data"].pop("podTemplate")),
    "an address outside": ("Service", lambda d: d["spec"].update(externalIPs=["8.8.8.8"])),
    "a name outside": ("Service", lambda d: d["spec"].update(type="ExternalName", externalName="a")),
    "a service of others' pods": ("Service", lambda d: d["spec"].update(selector={"app": "a"})),
    "a service of all pods": ("Service", lambda d: d["spec"].pop("selector")),
    "a budget of others' pods": ("PodDisruptionBudget", lambda d: d["spec"]["selector"].update(matchLabels={"a": "b"})),
    "another's scale": (
        "HorizontalPodAutoscaler",
        lambda d: d["spec"]["scaleTargetRef"].update(name="sentiment-other"),
    ),
    "another's backend": ("HTTPRoute", lambda d: d["spec"]["rules"][0]["backendRefs"][0].update(name="other")),
    "another namespace's backend": (
        "HTTPRoute",
        lambda d: d["spec"]["rules"][0]["backendRefs"][0].update(namespace="other"),
    ),
    "a redirect": ("HTTPRoute", lambda d: d["spec"]["rules"][0].update(filters=[{"type": "RequestRedirect"}])),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_refuses(what: str) -> None:
    kind, change = REFUSED[what]
    Manifest.checked(DOCUMENTS[kind].value, OWNER)
    with pytest.raises(Unrenderable):
        Manifest.checked(changed(kind, change), OWNER)


@pytest.mark.parametrize("document", [None, [], "text", {}, {"apiVersion": "v1", "kind": "Service"}, {1: 2}])
def test_it_refuses_what_is_no_object(document: Any) -> None:
    with pytest.raises(Unrenderable):
        Manifest.checked(document, OWNER)


def test_another_owner_may_not_have_it() -> None:
    for other in (Owner(key=OWNER.key, uid="x"), Owner(key=Key(namespace="a", name="sentiment"), uid=OWNER.uid)):
        with pytest.raises(Unrenderable):
            Manifest.checked(DOCUMENTS["Service"].value, other)


def test_there_is_no_other_way_to_make_one() -> None:
    with pytest.raises(TypeError):
        Manifest(api_version="v1", kind="Service", name="a", document=DOCUMENTS["Service"])  # type: ignore[call-arg]


@pytest.mark.parametrize("case", CASES)
def test_checking_changes_nothing(case: str) -> None:
    for manifest in CASES[case](TEMPLATES):
        document = manifest.document.value
        before = copy.deepcopy(document)
        assert Manifest.checked(document, OWNER) == manifest
        assert document == before


@pytest.mark.parametrize(
    ("text", "legal"),
    [
        ("3", True),
        ("a.b_c-d", True),
        ("", False),
        ("-a", False),
        ("a\n", False),
        ("a" * 63, True),
        ("a" * 64, False),
        ("é", False),
    ],
)
def test_what_a_label_may_say(text: str, legal: bool) -> None:
    assert is_label_value(text) is legal


def nothings(value: Any, path: str = "") -> list[str]:
    """Nulls and empty lists that a manifest says; the API server would not keep them."""
    if isinstance(value, dict):
        return [found for key, each in value.items() for found in nothings(each, f"{path}.{key}")]
    if isinstance(value, list) and value:
        return [found for each in value for found in nothings(each, f"{path}[]")]
    return [path] if value is None or value == [] else []


@pytest.mark.parametrize("case", sorted(set(CASES) - {"custom_with_everything"}))
def test_nothing_empty_is_rendered(case: str) -> None:
    assert not [path for manifest in CASES[case](TEMPLATES) for path in nothings(manifest.document.value)]
