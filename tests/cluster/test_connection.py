"""How we come to a client, and how credentials stay fresh."""

from pathlib import Path

import pytest
import yaml

from modelrollout.cluster import connection
from modelrollout.cluster.connection import connect
from modelrollout.errors import ClusterUnavailable


def _kubeconfig(folder: Path) -> Path:
    (folder / "token").write_text("first")
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": {"tokenFile": str(folder / "token")}}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return path


async def test_a_token_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await connect(_kubeconfig(tmp_path))
    headers: dict[str, str] = {}
    (tmp_path / "token").write_text("second")
    await client.update_params_for_auth(headers, [], ["BearerToken"], "/", "GET", None)
    assert headers["authorization"] == "Bearer first"
    monkeypatch.setattr(connection, "CREDENTIALS_REREAD", 0.0)
    await client.update_params_for_auth(headers, [], ["BearerToken"], "/", "GET", None)
    assert headers["authorization"] == "Bearer second"
    await client.close()


async def test_no_kubeconfig_and_no_cluster_around_us_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ClusterUnavailable, match="Name a kubeconfig"):
        await connect()
    with pytest.raises(ClusterUnavailable, match="nowhere"):
        await connect(tmp_path / "nowhere")
