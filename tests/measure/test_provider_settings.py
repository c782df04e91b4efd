"""The file of providers: closed, and its errors name field and fix without repeating what may be secret."""

import pytest

from modelrollout.measure.provider_settings import ProviderSettings, providers_of

FILE = "/etc/providers.yaml"
EVERYTHING = """
providers:
  - name: mimir
    url: https://mimir.monitoring:8443/prometheus/
    caFile: /secrets/ca.crt
    certFile: /secrets/tls.crt
    keyFile: /secrets/tls.key
    basicAuth: {username: reader, passwordFile: /secrets/password}
    headers: {X-Scope-OrgID: shop}
    headerFiles: {X-Api-Key: /secrets/key}
    replicaLabel: replica
    lag: 60s
    timeout: 5s
    concurrency: 4
  - name: thanos
    url: http://thanos.monitoring:9090
    tokenFile: /secrets/token
"""


def read(text: str, url: str | None = None) -> tuple[ProviderSettings, ...]:
    return providers_of(url, text, FILE)


def one(fields: str, head: str = "name: mimir, url: 'https://mimir'") -> ProviderSettings:
    (provider,) = read(f"providers: [{{{head}, {fields}}}]")
    return provider


def test_an_address_alone_is_the_provider_named_default() -> None:
    assert providers_of("http://prometheus:9090", None, FILE) == (
        ProviderSettings(name="default", url="http://prometheus:9090"),
    )
    assert providers_of(None, None, FILE) == ()


def test_everything_that_can_be_said_is_read() -> None:
    mimir, thanos = read(EVERYTHING)
    assert mimir == ProviderSettings(
        name="mimir",
        url="https://mimir.monitoring:8443/prometheus",
        ca_file="/secrets/ca.crt",
        certificate=("/secrets/tls.crt", "/secrets/tls.key"),
        basic_auth=("reader", "/secrets/password"),
        headers=(("X-Scope-OrgID", "shop"),),
        header_files=(("X-Api-Key", "/secrets/key"),),
        replica_label="replica",
        lag=60.0,
        connect_seconds=2.0,
        read_seconds=4.0,
        deadline_seconds=5.0,
        concurrency=4,
    )
    assert thanos == ProviderSettings(name="thanos", url="http://thanos.monitoring:9090", token_file="/secrets/token")


def test_an_address_and_a_file_are_all_providers_together() -> None:
    names = [provider.name for provider in read(EVERYTHING, "http://prometheus:9090")]
    assert names == ["default", "mimir", "thanos"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "providers: is missing; write a list"),
        ("just a text", "the file: is not an object"),
        ("provider: []", "provider: no such field; remove it, or write one of providers"),
        ("providers: {name: x}", "providers: is not a list; write one"),
        ("providers: [x]", "providers[0]: is not an object"),
        ("providers: [{url: 'http://p'}]", "providers[0].name: is missing"),
        ("providers: [{name: P, url: 'http://p'}]", "providers[0].name: P cannot be used; write lower-case letters"),
        ("providers: [{name: p}]", "providers[0].url: is missing; write its base address"),
        ("providers: [{name: p, url: 'p:9090'}]", "providers[0].url: 'p:9090' is no base URL; write one like http://"),
        ("providers: [{name: p, url: 'http://p/?x=1'}]", "providers[0].url: "),
        ("providers: [{name: p, url: 'http://p', token: x}]", "providers[0].token: no such field"),
        ("providers: [{name: p, url: 'http://p'}, {name: p, url: 'http://q'}]", "providers[1].name: p is there twice"),
        ("providers: [{name: default, url: 'http://p'}]", "providers[0].name: default is there twice"),
        ("providers: [{name: p}\n", "line 2 is no YAML; correct it"),
        ("providers: [" + "{name: p, url: 'http://p'}," * 33 + "]", "providers: are 33; write at most 32"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_file_field_and_fix(text: str, told: str) -> None:
    with pytest.raises(ValueError) as caught:
        read(text, "http://prometheus")
    assert str(caught.value).startswith(f"{FILE}: {told}")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ("caFile: ca.crt", "caFile: is no path; write the absolute path of a file, never the secret itself"),
        ("certFile: /a", "keyFile: is no path"),
        ("keyFile: /a", "certFile: is no path"),
        ("tokenFile: [x]", "tokenFile: is no path"),
        ("tokenFile: /a, basicAuth: {username: x, passwordFile: /b}", "basicAuth: there is a tokenFile already"),
        ("basicAuth: {username: x}", "basicAuth.passwordFile: is no path"),
        ("basicAuth: {passwordFile: /x}", "basicAuth.username: is no name; write one, without colons"),
        ("basicAuth: {username: 'a:b', passwordFile: /x}", "basicAuth.username: is no name"),
        ("basicAuth: {username: a, password: b}", "basicAuth.password: no such field"),
        ("headers: {Authorization: x}", "headers.Authorization: has fields of its own; write tokenFile or basicAuth"),
        ("headerFiles: {authorization: /x}", "headerFiles.authorization: has fields of its own"),
        ("headers: {Host: x}", "headers.Host: is set by the operator; remove it"),
        ("headers: {'a b': x}", "headers.a b: is no name of a header; write one such as X-Scope-OrgID"),
        ("headers: {X-Scope-OrgID: 7}", "headers.X-Scope-OrgID: its value cannot be sent; write plain characters"),
        ('headers: {X-Scope-OrgID: "a\\nb"}', "headers.X-Scope-OrgID: its value cannot be sent"),
        ("headers: {X-Scope-OrgID: ''}", "headers.X-Scope-OrgID: its value cannot be sent"),
        ("headerFiles: {X-Api-Key: x}", "headerFiles.X-Api-Key: is no path"),
        ("replicaLabel: 'a-b'", "replicaLabel: a-b cannot be used; write the name of a label"),
        ("lag: 60", "lag: 60 is no duration; write 60s"),
        ("lag: 11m", "lag: 11m is out of range; write 0s to 10m"),
        ("timeout: 30s", "timeout: 30s is out of range; write 1s to 12s"),
        ("concurrency: 0", "concurrency: 0 is below 1"),
        ("concurrency: 65", "concurrency: 65 is above 64"),
    ],
)
def test_a_field_that_cannot_be_meant_is_named(fields: str, told: str) -> None:
    with pytest.raises(ValueError) as caught:
        one(fields)
    assert str(caught.value).startswith(f"{FILE}: providers[0].{told}")


def test_what_is_for_tls_needs_tls() -> None:
    with pytest.raises(ValueError, match="caFile: /a is for TLS only; write an https:// url, or remove it"):
        one("caFile: /a", head="name: p, url: 'http://p'")


@pytest.mark.parametrize(
    "text",
    [
        "s3cret",
        "s3cret: [",
        "providers: s3cret",
        "providers: [{name: p, url: 'https://user:s3cret@p'}]",
        "providers: [{name: p, url: 'https://s3cret@p:x'}]",
        "providers: [{name: p, url: 'https://p', tokenFile: s3cret}]",
        "providers: [{name: p, url: 'https://p', basicAuth: s3cret}]",
        "providers: [{name: p, url: 'https://p', basicAuth: {username: 'x:s3cret', passwordFile: /a}}]",
        "providers: [{name: p, url: 'https://p', basicAuth: {username: x, passwordFile: s3cret}}]",
        "providers: [{name: p, url: 'https://p', headers: s3cret}]",
        "providers: [{name: p, url: 'https://p', headers: [s3cret]}]",
        "providers: [{name: p, url: 'https://p', headers: {X: [s3cret]}}]",
        'providers: [{name: p, url: "https://p", headers: {X: "s3cret\\n"}}]',
        "providers: [{name: p, url: 'https://p', headerFiles: {X: s3cret}}]",
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        read(text)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_headers_are_in_no_repr() -> None:
    assert "shop" not in repr(read(EVERYTHING)[0])
