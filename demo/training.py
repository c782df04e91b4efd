"""Runs `demo.models` on the cluster: the source as a ConfigMap, a Job that puts the models on the volume. Pure.

Only kubectl is needed, so it works on any cluster; training there means the same scikit-learn on both sides.
"""

from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
JOB = "train-sentiment"
SOURCES = (
    "__init__.py",
    "dictionary.py",
    "models.py",
    "reviews.py",
    "served/cleaned_runtime.py",
    "served/spelling.py",
    "served/byte_table.py",
)


def manifests(image: str) -> list[dict[str, Any]]:
    """ConfigMap and Job. A ConfigMap's keys have no slashes: the Job's volume puts them back."""
    keys = {source.replace("/", "."): source for source in SOURCES}
    source = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": JOB, "namespace": "shop"},
        "data": {key: (HERE / source).read_text() for key, source in keys.items()},
    }
    job: dict[str, Any] = yaml.safe_load((HERE / "trainer.yaml").read_text())
    pod = job["spec"]["template"]["spec"]
    pod["containers"][0]["image"] = image
    pod["volumes"][0]["configMap"]["items"] = [{"key": key, "path": f"demo/{path}"} for key, path in keys.items()]
    return [source, job]
