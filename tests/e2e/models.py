"""The smallest model that MLServer serves, on a volume: for tests in which the runtime matters and the model does not."""

import json
from pathlib import Path

from tests.e2e.place import Place

SOURCE = """
from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse
class Agreeable(MLModel):
    async def load(self) -> bool:
        return True
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        output = StringCodec.encode_output("verdict", ["positive"])
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[output])
"""
"""It finds everything good."""


def put_models(place: Place, name: str, *versions: str, under: str = ".") -> None:
    """A claim `models` with a folder for each version, as MLServer reads them."""
    root = place.world.devcluster.state_dir / place.namespace
    for version in versions:
        folder: Path = root / under / version
        folder.mkdir(parents=True)
        (folder / "agreeable.py").write_text(SOURCE)
        settings = {"name": name, "implementation": "agreeable.Agreeable", "parameters": {"version": version}}
        (folder / "model-settings.json").write_text(json.dumps(settings))
    place.world.devcluster.model_volume(place.namespace, "models", root)
