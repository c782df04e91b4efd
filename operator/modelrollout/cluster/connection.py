"""The one connection to the API server: in the cluster by its service account, outside by a kubeconfig."""

import time
from pathlib import Path

from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from modelrollout import names
from modelrollout.errors import ClusterUnavailable

CREDENTIALS_REREAD = 60.0
"""Seconds after which a token is read again: files are rotated, plug-ins hand out short ones."""
CONNECTIONS = 32
"""Requests under way at once; the rest wait for a free connection."""


async def connect(kubeconfig: str | Path | None = None) -> ApiClient:
    """A client for this process; close it last. None: the service account of the pod we run in."""
    configuration = type.__call__(Configuration)  # never the library's process-wide default
    configuration.connection_pool_maxsize = CONNECTIONS
    try:
        if kubeconfig is None:
            load_incluster_config(client_configuration=configuration)  # reads its token again each minute
        else:
            await _load(Path(kubeconfig), configuration)
    except (ConfigException, OSError) as error:
        where = "in this pod" if kubeconfig is None else f"in {kubeconfig}"
        raise ClusterUnavailable(f"No way to the API server {where}: {error}. Name a kubeconfig.") from error
    client = ApiClient(configuration=configuration)
    client.user_agent = names.FIELD_MANAGER
    return client


async def _load(kubeconfig: Path, configuration: Configuration) -> None:
    loader = await load_kube_config(
        config_file=str(kubeconfig), client_configuration=configuration, persist_config=False
    )
    read_at = time.monotonic()

    async def read_again(_: Configuration) -> None:
        nonlocal read_at
        if time.monotonic() - read_at >= CREDENTIALS_REREAD:
            read_at = time.monotonic()
            await loader.load_and_set(configuration)

    configuration.refresh_api_key_hook = read_again
