"""Presets as data, and what is refused because of them."""

from typing import Any

import pytest

from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.fragment import Fragment
from modelrollout.render.presets import Unloaded, parse, presets, refusal

MINIMAL = """
ports: {http: 8080}
model: {path: /mnt/models, fetches: []}
probes: {ready: {tcpSocket: {port: http}}}
drain: {sleep: 5, grace: 60}
unloaded: unknown
tested: []
"""


def refused(runtime: dict[str, Any], uri: str | None = None) -> Remark | None:
    model = {"version": "1", **({"uri": uri} if uri else {})}
    return refusal(Fragment.of(model), Fragment.of(runtime))


def test_the_packaged_presets_are_these() -> None:
    assert {"mlserver", "custom"} <= set(presets())


def test_mlserver_ends_by_itself_when_its_model_does_not_load() -> None:
    assert presets()["mlserver"].unloaded is Unloaded.EXITS


def test_a_misspelt_key_fails_at_start() -> None:
    with pytest.raises(ValueError, match="x: unknown prots"):
        parse("x", MINIMAL + "prots: {}\n")


def test_a_missing_key_fails_at_start() -> None:
    with pytest.raises(ValueError, match="x: drain is missing"):
        parse("x", MINIMAL.replace("drain: {sleep: 5, grace: 60}", ""))


def test_a_number_in_a_presets_env_fails_at_start() -> None:
    with pytest.raises(ValueError, match="quote it"):
        parse("x", MINIMAL + "env: {A: 1}\n")


def test_a_preset_needs_a_port_for_requests() -> None:
    with pytest.raises(ValueError, match="one must be named http"):
        parse("x", MINIMAL.replace("http: 8080", "web: 8080"))


def test_an_unknown_preset_is_refused_with_those_that_are_known() -> None:
    remark = refused({"preset": "mlsever"})
    assert remark is not None
    assert remark.reason is Reason.UNKNOWN_PRESET
    assert remark.message.startswith("spec.runtime.preset: mlsever is not known here. Use one of ")
    assert "custom, mlserver" in remark.message


def test_custom_without_an_image_is_refused() -> None:
    remark = refused({"preset": "custom"})
    assert remark is not None
    assert remark.reason is Reason.INVALID_SPEC
    assert "spec.runtime.image is missing" in remark.message


def test_mlserver_brings_an_image() -> None:
    assert refused({"preset": "mlserver"}) is None


def test_a_port_clash_names_both_ports() -> None:
    remark = refused({"preset": "mlserver", "ports": [{"name": "admin", "containerPort": 8082}]})
    assert remark is not None
    assert remark.reason is Reason.PORT_CLASH
    assert "metrics and admin are both 8082" in remark.message
    assert "name yours metrics to replace it" in remark.message


def test_two_ports_of_one_name_clash() -> None:
    twice = [{"name": "http", "containerPort": 1}, {"name": "http", "containerPort": 2}]
    remark = refused({"preset": "mlserver", "ports": twice})
    assert remark is not None
    assert "two are named http (1 and 2)" in remark.message


def test_a_port_of_the_presets_name_replaces_it() -> None:
    assert refused({"preset": "mlserver", "ports": [{"name": "http", "containerPort": 9000}]}) is None


def test_two_protocols_may_share_a_number() -> None:
    both = [{"name": "a", "containerPort": 9000}, {"name": "b", "containerPort": 9000, "protocol": "UDP"}]
    assert refused({"preset": "mlserver", "ports": both}) is None


@pytest.mark.parametrize(
    ("uri", "advice"),
    [
        ("s3://bucket/model", "does not read s3://"),
        ("pvc://", "name of a PersistentVolumeClaim"),
        ("pvc://UPPER/a", "name of a PersistentVolumeClaim"),
        ("pvc://claim/../etc", "may not leave it"),
        ("pvc://claim//etc", "may not leave it"),
        ("oci://", "image reference"),
        ("models/3", "does not read models/3://"),
    ],
)
def test_a_model_that_cannot_be_mounted_is_refused(uri: str, advice: str) -> None:
    remark = refused({"preset": "mlserver"}, uri)
    assert remark is not None
    assert remark.reason is Reason.INVALID_SPEC
    assert advice in remark.message


def test_a_volume_may_not_take_the_models_name_or_place() -> None:
    volume = {"preset": "mlserver", "volumes": [{"name": "model", "emptyDir": {}}]}
    mount = {"preset": "mlserver", "volumeMounts": [{"name": "a", "mountPath": "/mnt/models/"}]}
    for runtime in (volume, mount):
        assert refused(runtime) is None
        assert refused(runtime, "pvc://claim/a") is not None
