"""The ModelDeployments of the simulated benchmarks, by the operator's own parser."""

from collections.abc import Mapping

from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.domain.parse import parse
from modelrollout.names import API_VERSION, KIND


def simulated_spec(*, weights: tuple[int, ...], analysis: Mapping[str, object]) -> ModelDeployment:
    """Behind a gateway, with nothing but the ladder and the analysis to speak of."""
    read = parse(
        {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": "simulated", "namespace": "bench"},
            "spec": {
                "model": {"version": "2"},
                "runtime": {"preset": "custom", "image": "registry.example/server:2"},
                "traffic": {"router": "gatewayAPI", "gatewayAPI": {"parentRefs": [{"name": "public"}]}},
                "rollout": {"steps": [{"weight": weight} for weight in weights], "bake": "1s"},
                "analysis": dict(analysis),
            },
        }
    )
    assert isinstance(read, ModelDeployment), read.message
    return read
