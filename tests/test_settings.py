import ast
import inspect
import itertools
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from modelrollout import settings as module
from modelrollout.settings import Gateway, LogFormat, Settings, SettingsError


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_env({"PATH": "/bin"}) == Settings()


def test_an_empty_variable_means_the_default() -> None:
    assert Settings.from_env({"MODELROLLOUT_WORKERS": "", "MODELROLLOUT_WATCH_NAMESPACES": " "}) == Settings()


def test_every_setting_is_read() -> None:
    given = {
        "MODELROLLOUT_PROMETHEUS_URL": "https://prometheus.example/base/",
        "MODELROLLOUT_PROMETHEUS_PROVIDERS_FILE": "/etc/providers.yaml",
        "MODELROLLOUT_GATEWAY": "envoy-gateway",
        "MODELROLLOUT_ALLOW_PROMQL": "true",
        "MODELROLLOUT_WATCH_NAMESPACES": "shop, search,shop",
        "MODELROLLOUT_WORKERS": "4",
        "MODELROLLOUT_LEASE_NAME": "mine",
        "MODELROLLOUT_LEASE_NAMESPACE": "ops",
        "MODELROLLOUT_LEASE_DURATION": "30s",
        "MODELROLLOUT_LEASE_RENEW_DEADLINE": "20s",
        "MODELROLLOUT_LEASE_RETRY": "3s",
        "MODELROLLOUT_RESYNC": "1h30m",
        "MODELROLLOUT_PROBE_PORT": "0",
        "MODELROLLOUT_LOG_FORMAT": "text",
        "MODELROLLOUT_KUBECONFIG": "/tmp/kc",
    }
    assert {name.removeprefix("MODELROLLOUT_").lower() for name in given} == {each.name for each in fields(Settings)}
    assert Settings.from_env(given) == Settings(
        prometheus_url="https://prometheus.example/base",
        prometheus_providers_file=Path("/etc/providers.yaml"),
        gateway=Gateway.ENVOY_GATEWAY,
        allow_promql=True,
        watch_namespaces=("shop", "search"),
        workers=4,
        lease_name="mine",
        lease_namespace="ops",
        lease_duration=timedelta(seconds=30),
        lease_renew_deadline=timedelta(seconds=20),
        lease_retry=timedelta(seconds=3),
        resync=timedelta(minutes=90),
        probe_port=0,
        log_format=LogFormat.TEXT,
        kubeconfig=Path("/tmp/kc"),
    )


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("WORKERS", "many", "a number between 1 and 64"),
        ("WORKERS", "0", "a number between 1 and 64"),
        ("WORKERS", "٣", "a number between 1 and 64"),
        ("RESYNC", "10", "write one like 30s"),
        ("RESYNC", "1s", "between 10s and 86400s"),
        ("PROMETHEUS_URL", "prometheus:9090", "http://"),
        ("PROMETHEUS_URL", "http://", "http://"),
        ("PROMETHEUS_URL", "http://p:99999", "http://"),
        ("PROMETHEUS_URL", "http://p/?x=1", "http://"),
        ("WATCH_NAMESPACES", "shop,Nope", "'Nope'"),
        ("LOG_FORMAT", "xml", "json or text"),
        ("ALLOW_PROMQL", "yes", "write one of them"),
        ("GATEWAY", "nginx", "write one of traefik, istio"),
        ("LEASE_NAME", "My Lease", "Kubernetes name"),
        ("PROBE_PORT", "70000", "between 0 and 65535"),
        ("LEASE_RENEW_DEADLINE", "15s", "not shorter than"),
        ("LEASE_RETRY", "10s", "not shorter than"),
        ("WORKRES", "3", "no such setting"),
    ],
)
def test_a_bad_value_is_one_line_that_names_variable_and_fix(name: str, value: str, fix: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({f"MODELROLLOUT_{name}": value})
    message = str(caught.value)
    assert message.startswith(f"MODELROLLOUT_{name}: ")
    assert fix in message
    assert "\n" not in message


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"MODELROLLOUT_PROMETHEUS_URL": "http://reader:s3cret@prometheus:9090"})
    assert "MODELROLLOUT_PROMETHEUS_URL: holds a user or a password; take it out" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_every_field_has_its_docstring_below() -> None:
    tree = ast.parse(inspect.getsource(module))
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings").body
    for node, below in itertools.pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            documented = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            assert documented, f"{node.target.id} has no docstring"


def test_what_kubernetes_puts_into_the_pod_for_a_service_of_our_name_is_no_setting() -> None:
    links = {
        "MODELROLLOUT_SERVICE_HOST": "10.0.0.1",
        "MODELROLLOUT_SERVICE_PORT": "8080",
        "MODELROLLOUT_SERVICE_PORT_METRICS": "8080",
        "MODELROLLOUT_PORT": "tcp://10.0.0.1:8080",
        "MODELROLLOUT_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "MODELROLLOUT_PORT_8080_TCP_ADDR": "10.0.0.1",
        "MODELROLLOUT_PROBE_PORT": "tcp://10.0.0.2:80",
    }
    assert Settings.from_env(links) == Settings()
