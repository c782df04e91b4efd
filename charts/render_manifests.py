"""Generate what is a copy: the chart's CRDs from /crds, and manifests/install.yaml from the chart.

    python charts/render_manifests.py            write them
    python charts/render_manifests.py --check    say what is stale, write nothing, exit 1 if anything is

Rendering is Helm's own, offline. It refuses a chart that Helm's strict lint finds fault with.
"""

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import helm_python

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "charts" / "modelrollout"
CRDS = ROOT / "crds"
CHART_CRDS = CHART / "files" / "crds"
INSTALL = ROOT / "manifests" / "install.yaml"

RELEASE = "modelrollout"
NAMESPACE = "modelrollout-system"

HEADER = """\
# Generated from charts/modelrollout by charts/render_manifests.py; never edited by hand.
#
#   kubectl apply --server-side -f install.yaml
#   kubectl -n modelrollout-system set env deployment/modelrollout MODELROLLOUT_PROMETHEUS_URL=http://prometheus.monitoring:9090
"""

NAMESPACE_DOCUMENT = f"""\
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    app.kubernetes.io/name: modelrollout
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/audit: restricted
    pod-security.kubernetes.io/warn: restricted
"""

ORDER = (
    "Namespace",
    "CustomResourceDefinition",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "PodDisruptionBudget",
    "Deployment",
)
"""What is needed comes first. A kind that is not here is a KeyError: decide where it belongs."""

HELM_LABEL = re.compile(r"^ +(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n", re.MULTILINE)
"""True of a release only: nobody manages what kubectl applied."""


LINT_WARNING = 2
"""Helm's severities: 1 is a remark, 2 a warning, 3 an error."""


def source_crds() -> dict[str, str]:
    """The text of each CRD, by file name."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(CRDS.glob("*.yaml"))}


def install_manifest(crds: Mapping[str, str]) -> str:
    """The chart with its default values as plain manifests, CRDs first, its Namespace with them."""
    with tempfile.TemporaryDirectory() as folder:
        chart_path = Path(folder) / "modelrollout"
        shutil.copytree(CHART, chart_path, ignore=shutil.ignore_patterns("crds"))
        fresh = chart_path / "files" / "crds"
        fresh.mkdir()
        for name, text in crds.items():
            (fresh / name).write_text(text, encoding="utf-8")
        faults = [
            f"{message['path']}: {message['error']}"
            for message in helm_python.lint(chart_path, strict=True)["messages"]
            if message["severity"] >= LINT_WARNING
        ]
        if faults:
            raise SystemExit("\n".join(["helm lint finds fault with the chart:", *faults]))
        with helm_python.Chart.load(chart_path) as chart:
            # `keep` is an annotation for Helm, which is not there to read it.
            rendered = chart.render({"crds": {"keep": False}}, name=RELEASE, namespace=NAMESPACE)
    documents = [NAMESPACE_DOCUMENT]
    for path, text in sorted(rendered.items()):
        if path.endswith(".yaml"):
            documents += [
                part.strip("\n") + "\n" for part in re.split(r"^---$", text, flags=re.MULTILINE) if part.strip()
            ]
    documents.sort(key=lambda document: ORDER.index(kind_of(document)))
    return HEADER + "".join("---\n" + HELM_LABEL.sub("", document) for document in documents)


def kind_of(document: str) -> str:
    match = re.search(r"^kind: (\S+)$", document, flags=re.MULTILINE)
    if match is None:
        raise ValueError(f"a rendered document has no kind:\n{document}")
    return match[1]


def generated() -> dict[Path, str]:
    """Every file that is generated here, with the text it must have."""
    crds = source_crds()
    return {CHART_CRDS / name: text for name, text in crds.items()} | {INSTALL: install_manifest(crds)}


def stale(wanted: Mapping[Path, str]) -> list[Path]:
    """Files that differ from `wanted`, are missing, or are there without being wanted."""
    differing = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    return sorted(differing + [path for path in CHART_CRDS.glob("*") if path not in wanted])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a generated file is stale")
    check = parser.parse_args(arguments).check
    wanted = generated()
    for path in stale(wanted):
        if check:
            print(f"{path.relative_to(ROOT)} is stale: run `python charts/render_manifests.py`", file=sys.stderr)
        elif path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
        else:
            path.unlink()
            print(f"removed {path.relative_to(ROOT)}")
    return 1 if check and stale(wanted) else 0


if __name__ == "__main__":
    raise SystemExit(main())
