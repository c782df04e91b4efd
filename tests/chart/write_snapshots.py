"""Rewrites tests/chart/snapshots/*: `python -m tests.chart.write_snapshots`. The diff is the review."""

from pathlib import Path

from charts.render_manifests import CHART

from tests.chart.rendering import texts

SNAPSHOTS = Path(__file__).parent / "snapshots"
TEMPLATES = sorted(path.name for path in (CHART / "templates").iterdir() if path.suffix in {".yaml", ".txt"})
SHOWN = [name for name in TEMPLATES if name != "crds.yaml"]
"""The CRDs have a test of their own: a third copy of them would be noise."""


def text_of(template: str) -> str:
    """What a template renders to with the default values; nothing is an empty line."""
    return texts()[template].strip() + "\n"


def main() -> None:
    SNAPSHOTS.mkdir(exist_ok=True)
    for path in SNAPSHOTS.iterdir():
        if path.name not in SHOWN:
            path.unlink()
    for name in SHOWN:
        (SNAPSHOTS / name).write_text(text_of(name), encoding="utf-8")
    print(f"{len(SHOWN)} snapshots written to {SNAPSHOTS}")


if __name__ == "__main__":
    main()
