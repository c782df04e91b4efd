"""TLS against a server with certificates of its own; each mistake is told by what to look at."""

import shutil
import ssl
from pathlib import Path

import pytest

from modelrollout.domain.polls import FaultKind, ProviderFault
from modelrollout.measure.prometheus import Prometheus
from modelrollout.measure.queries import Query
from modelrollout.measure.rows import Rows
from modelrollout.measure.transport import no_connection
from tests.measure.authority import Authority, server_side
from tests.measure.http_server import Script, matrix, patient, serving

QUERY = Query(name="requests", text="up[60s]", at=115.0)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.made(tmp_path / "authority")


async def answer(script: Script, **changes: object) -> Rows | ProviderFault:
    prometheus = Prometheus(patient(script, **changes))
    try:
        return await prometheus.rows(QUERY)
    finally:
        prometheus.close()


async def denied(script: Script, **changes: object) -> str:
    found = await answer(script, **changes)
    assert isinstance(found, ProviderFault)
    assert found.kind is FaultKind.DENIED
    assert not found.permanent, "a certificate that is put right heals it"
    return found.message


async def test_a_server_of_the_authority_named_is_trusted(authority: Authority) -> None:
    with serving(Script(body=matrix()), server_side(authority.issue("prometheus"))) as script:
        assert await answer(script, ca_file=str(authority.certificate)) == ()


async def test_a_server_of_another_authority_is_not(authority: Authority, tmp_path: Path) -> None:
    other = Authority.made(tmp_path / "other")
    with serving(Script(body=matrix()), server_side(authority.issue("prometheus"))) as script:
        assert "is not trusted; check caFile" in await denied(script, ca_file=str(other.certificate))
        assert "is not trusted; check caFile" in await denied(script)
    assert script.asked == []


async def test_a_certificate_for_another_name_is_refused(authority: Authority) -> None:
    tls = server_side(authority.issue("prometheus", "DNS:prometheus.elsewhere"))
    with serving(Script(body=matrix()), tls) as script:
        told = await denied(script, ca_file=str(authority.certificate))
    assert "certificate for another name" in told
    assert "elsewhere" not in told


async def test_an_authority_that_is_replaced_in_place_is_used_for_the_next_connection(
    authority: Authority, tmp_path: Path
) -> None:
    other = Authority.made(tmp_path / "other")
    trusted = tmp_path / "ca.crt"
    shutil.copy(other.certificate, trusted)
    with serving(Script(body=matrix()), server_side(authority.issue("prometheus"))) as script:
        prometheus = Prometheus(patient(script, ca_file=str(trusted)))
        assert isinstance(await prometheus.rows(QUERY), ProviderFault)
        shutil.copy(authority.certificate, trusted)
        assert await prometheus.rows(QUERY) == ()
        prometheus.close()


async def test_a_server_that_wants_a_client_certificate_gets_it(authority: Authority, tmp_path: Path) -> None:
    tls = server_side(authority.issue("prometheus"), clients_of=authority)
    certificate, key = map(str, authority.issue("operator"))
    with serving(Script(body=matrix()), tls) as script:
        trusted = str(authority.certificate)
        assert await answer(script, ca_file=trusted, certificate=(certificate, key)) == ()
        stranger = Authority.made(tmp_path / "other").issue("operator")
        for given in (None, tuple(map(str, stranger))):
            found = await answer(script, ca_file=trusted, certificate=given)
            assert isinstance(found, ProviderFault)
            assert found.kind in (FaultKind.DENIED, FaultKind.UNREACHABLE)  # as TLS 1.3 gets to say it, or not
    assert len(script.asked) == 1


@pytest.mark.parametrize("field", ["caFile", "certFile", "keyFile"])
async def test_a_file_that_is_missing_is_named_by_its_field(authority: Authority, field: str) -> None:
    certificate, key = map(str, authority.issue("operator"))
    files = {"caFile": str(authority.certificate), "certFile": certificate, "keyFile": key}
    files[field] = "/nowhere/secret"
    with serving(Script(body=matrix()), server_side(authority.issue("prometheus"))) as script:
        told = await denied(script, ca_file=files["caFile"], certificate=(files["certFile"], files["keyFile"]))
    assert f"the file of {field} cannot be read" in told
    assert "/nowhere" not in told


async def test_files_that_are_no_certificates_are_told_as_such(authority: Authority, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nothing of the kind", encoding="utf-8")
    certificate, _ = map(str, authority.issue("operator"))
    with serving(Script(body=matrix()), server_side(authority.issue("prometheus"))) as script:
        assert "check caFile" in await denied(script, ca_file=str(wrong))
        told = await denied(script, ca_file=str(authority.certificate), certificate=(certificate, str(wrong)))
    assert "check caFile, certFile and keyFile" in told


def test_an_expired_certificate_is_told_as_such() -> None:
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_code = 10
    assert "has expired" in no_connection("mimir", OSError(error)).fault.message
