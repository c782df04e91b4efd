"""A certificate authority for one test, made by openssl; no network, and nothing is left behind."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@dataclass(frozen=True, slots=True)
class Authority:
    folder: Path

    @classmethod
    def made(cls, folder: Path) -> "Authority":
        folder.mkdir()
        key, certificate = str(folder / "ca.key"), str(folder / "ca.crt")
        _openssl("req", "-x509", *_KEY, "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=authority")
        return cls(folder)

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.crt"

    def issue(self, name: str, alternative: str = "IP:127.0.0.1") -> tuple[Path, Path]:
        """Certificate and key for `alternative`, a subjectAltName."""
        key, request, made = (self.folder / f"{name}.{kind}" for kind in ("key", "csr", "crt"))
        extension = self.folder / f"{name}.cnf"
        extension.write_text(f"subjectAltName={alternative}\n", encoding="utf-8")
        _openssl("req", *_KEY, "-keyout", str(key), "-out", str(request), "-subj", f"/CN={name}")
        signer = ("-CA", str(self.certificate), "-CAkey", str(self.folder / "ca.key"), "-CAcreateserial")
        files = ("-in", str(request), "-out", str(made), "-extfile", str(extension))
        _openssl("x509", "-req", *files, *signer, "-days", "2")
        return made, key


def server_side(certificate: tuple[Path, Path], *, clients_of: Authority | None = None) -> ssl.SSLContext:
    """`clients_of`: whose clients alone are let in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, certificate))
    if clients_of is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(str(clients_of.certificate))
    return context
