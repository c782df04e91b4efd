"""Who may talk to the API server: users with random tokens, kubeconfig files, the service accounts' key.

Nothing here outlives the cluster, and nothing needs a tool: no certificates but the one
that the API server makes for itself.
"""

from __future__ import annotations

import base64
import csv
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import yaml

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, slots=True)
class User:
    """A name, its groups, and the token that proves it."""

    name: str
    groups: tuple[str, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_hex(16))


def write_tokens(path: Path, users: list[User]) -> None:
    """The file for --token-auth-file."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        for user in users:
            rows.writerow([user.token, user.name, user.name, ",".join(user.groups)])
    path.chmod(0o600)


def write_kubeconfig(path: Path, *, server: str, authority: Path, user: User) -> Path:
    """A kubeconfig for one user; the authority is copied in, so that the file can be moved about."""
    certificate = base64.b64encode(authority.read_bytes()).decode()
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "devcluster",
        "contexts": [{"name": "devcluster", "context": {"cluster": "devcluster", "user": user.name}}],
        "clusters": [{"name": "devcluster", "cluster": {"server": server, "certificate-authority-data": certificate}}],
        "users": [{"name": user.name, "user": {"token": user.token}}],
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    path.chmod(0o600)
    return path


def write_signing_key(path: Path) -> Path:
    """A P-256 private key that signs service-account tokens.

    SEC 1 needs the secret number only; whoever reads it computes the public half:
    SEQUENCE { version 1, OCTET STRING secret, [0] OID prime256v1 }.
    """
    secret = secrets.randbelow(P256_ORDER - 1) + 1
    encoded = bytes.fromhex("30310201010420") + secret.to_bytes(32) + bytes.fromhex("a00a06082a8648ce3d030107")
    lines = base64.encodebytes(encoded).decode()
    path.write_text(f"-----BEGIN EC PRIVATE KEY-----\n{lines}-----END EC PRIVATE KEY-----\n")
    path.chmod(0o600)
    return path
