"""What goes with a request, from files that change under us; nothing of it is ever shown."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelrollout.domain.polls import FaultKind, ProviderFault
from modelrollout.measure.prometheus import Prometheus
from modelrollout.measure.provider_settings import ProviderSettings
from modelrollout.measure.queries import Query
from modelrollout.measure.rows import Rows
from tests.measure.http_server import Asked, Script, matrix, patient, serving

QUERY = Query(name="requests", text="up[60s]", at=115.0)


@pytest.fixture
def server() -> Iterator[Script]:
    with serving(Script(body=matrix())) as script:
        yield script


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("s3cret\n", encoding="utf-8")
    return path


async def answer(script: Script, **changes: object) -> Rows | ProviderFault:
    prometheus = Prometheus(patient(script, **changes))
    try:
        return await prometheus.rows(QUERY)
    finally:
        prometheus.close()


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def only(header: str, value: str) -> Callable[[Asked], bool]:
    return lambda asked: asked.headers.get(header) == value


async def test_a_token_that_expired_is_replaced_in_place(server: Script, secret: Path) -> None:
    server.allowed = only("Authorization", "Bearer renewed")
    prometheus = Prometheus(patient(server, token_file=str(secret)))
    told = await prometheus.rows(QUERY)
    assert isinstance(told, ProviderFault)
    assert (told.kind, told.permanent) == (FaultKind.DENIED, True)
    assert "answered 401; check the operator's credentials" in told.message
    write(secret, "renewed")
    assert await prometheus.rows(QUERY) == ()
    prometheus.close()


async def test_user_and_password_are_sent_as_basic_authentication(server: Script, secret: Path) -> None:
    encoded = base64.b64encode(b"reader:s3cret").decode()
    server.allowed = only("Authorization", f"Basic {encoded}")
    assert await answer(server, basic_auth=("reader", str(secret))) == ()
    write(secret, "pässword")
    encoded = base64.b64encode("reader:pässword".encode()).decode()
    server.allowed = only("Authorization", f"Basic {encoded}")
    assert await answer(server, basic_auth=("reader", str(secret))) == ()


async def test_the_headers_of_a_tenant_are_sent(server: Script, secret: Path) -> None:
    headers, files = (("X-Scope-OrgID", "shop"),), (("X-Api-Key", str(secret)),)
    assert await answer(server, headers=headers, header_files=files) == ()
    assert server.asked[0].headers["X-Scope-OrgID"] == "shop"
    assert server.asked[0].headers["X-Api-Key"] == "s3cret"


@pytest.mark.parametrize("content", ["", "two\nlines", "höhe", "tab\there"])
async def test_what_no_header_can_hold_is_told_by_its_field_and_not_sent(
    server: Script, secret: Path, content: str
) -> None:
    write(secret, content)
    told = await answer(server, token_file=str(secret))
    assert isinstance(told, ProviderFault)
    assert told.kind is FaultKind.DENIED
    assert "the content of tokenFile cannot be sent" in told.message
    assert content == "" or content not in told.message
    assert server.asked == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"token_file": "/nowhere/x"}, "tokenFile"),
        ({"basic_auth": ("reader", "/nowhere/x")}, "basicAuth.passwordFile"),
        ({"header_files": (("X-Api-Key", "/nowhere/x"),)}, "headerFiles.X-Api-Key"),
    ],
)
async def test_a_file_that_is_missing_is_told_by_its_field(
    server: Script, changes: dict[str, object], field: str
) -> None:
    told = await answer(server, **changes)
    assert isinstance(told, ProviderFault)
    assert told.message == (
        f"Prometheus `default` gets no query: the file of {field} cannot be read; "
        "check that its Secret exists and has the key."
    )
    assert server.asked == []


async def test_a_redirect_gets_neither_query_nor_credentials(server: Script, secret: Path) -> None:
    with serving(Script(body=matrix())) as elsewhere:
        server.status, server.headers = 307, {"Location": f"{elsewhere.url}/api/v1/query"}
        assert isinstance(await answer(server, token_file=str(secret)), ProviderFault)
        assert elsewhere.asked == []


async def test_nothing_secret_is_in_what_settings_faults_and_errors_show(
    server: Script, secret: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    settings = patient(server, token_file=str(secret), headers=(("X-Scope-OrgID", "tenant-name"),))
    assert "tenant-name" not in repr(settings)
    assert isinstance(settings, ProviderSettings)
    server.status, server.body = 500, b"s3cret tenant-name"
    told = await answer(server, token_file=str(secret), headers=settings.headers)
    shown = f"{told!r} {caplog.text}"
    assert "s3cret" not in shown and "tenant-name" not in shown
