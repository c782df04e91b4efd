"""The kinds we touch and where the API server keeps them. Pure.

A table instead of discovery: which kinds there are is known when we are built, so no start asks for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from modelrollout import names

Live = Mapping[str, Any]
"""An object as the API server sent it; shared, so nobody changes it. Looked into by cluster/, routers/ and render/."""

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
OURS = f"{MANAGED_BY_LABEL}={names.FIELD_MANAGER}"
"""The selector of the watches on what we own. Pods carry it by their template; the endpoint slice controller copies
a Service's labels onto its slices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`watched`: fed into the store. `label_selector`: which of them; None is all.

    `optional`: a custom resource of others, which may not be there.
    """

    api_version: str
    kind: str
    plural: str
    watched: bool = True
    label_selector: str | None = OURS
    optional: bool = False

    @property
    def group(self) -> str:
        """Empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        return self.api_version.rpartition("/")[2]

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL's path; namespace None is all namespaces, name None the collection.

        >>> DEPLOYMENT.path("shop", "sentiment-7f3c9", "scale")
        '/apis/apps/v1/namespaces/shop/deployments/sentiment-7f3c9/scale'
        """
        parts = ["/apis" if self.group else "/api", self.api_version]
        if namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        parts += [quote(part, safe="") for part in (name, subresource) if part is not None]
        return "/".join(parts)


MODEL_DEPLOYMENT = Kind(api_version=names.API_VERSION, kind=names.KIND, plural=names.PLURAL, label_selector=None)
DEPLOYMENT = Kind(api_version="apps/v1", kind="Deployment", plural="deployments")
CONTROLLER_REVISION = Kind(api_version="apps/v1", kind="ControllerRevision", plural="controllerrevisions")
SERVICE = Kind(api_version="v1", kind="Service", plural="services")
CONFIG_MAP = Kind(api_version="v1", kind="ConfigMap", plural="configmaps")
POD = Kind(api_version="v1", kind="Pod", plural="pods")
AUTOSCALER = Kind(api_version="autoscaling/v2", kind="HorizontalPodAutoscaler", plural="horizontalpodautoscalers")
DISRUPTION_BUDGET = Kind(api_version="policy/v1", kind="PodDisruptionBudget", plural="poddisruptionbudgets")
ENDPOINT_SLICE = Kind(api_version="discovery.k8s.io/v1", kind="EndpointSlice", plural="endpointslices")
HTTP_ROUTE = Kind(api_version="gateway.networking.k8s.io/v1", kind="HTTPRoute", plural="httproutes", optional=True)
POD_MONITOR = Kind(
    api_version="monitoring.coreos.com/v1", kind="PodMonitor", plural="podmonitors", watched=False, optional=True
)
EVENT = Kind(api_version="v1", kind="Event", plural="events", watched=False)
LEASE = Kind(api_version="coordination.k8s.io/v1", kind="Lease", plural="leases", watched=False)

KINDS: tuple[Kind, ...] = (
    MODEL_DEPLOYMENT,
    DEPLOYMENT,
    CONTROLLER_REVISION,
    SERVICE,
    CONFIG_MAP,
    POD,
    AUTOSCALER,
    DISRUPTION_BUDGET,
    ENDPOINT_SLICE,
    HTTP_ROUTE,
    POD_MONITOR,
    EVENT,
    LEASE,
)

WATCHED: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind.watched)

_BY_NAME = {(kind.api_version, kind.kind): kind for kind in KINDS}


def kind_of(live: Live) -> Kind:
    """The kind of an object or manifest; LookupError for one that is not in the table."""
    return kind_named(live["apiVersion"], live["kind"])


def kind_named(api_version: str, kind: str) -> Kind:
    try:
        return _BY_NAME[api_version, kind]
    except KeyError:
        raise LookupError(f"{api_version} {kind} is no kind that we touch; add it to cluster/kinds.py") from None
