"""Rewrites tests/render/golden/*.yaml: `python -m tests.render.write_goldens`. The diff is the review."""

from pathlib import Path

import yaml

from modelrollout.render.templates import Templates
from tests.render.cases import CASES, Case

GOLDEN = Path(__file__).parent / "golden"


def text_of(case: Case, templates: Templates) -> str:
    documents = [manifest.document.value for manifest in case(templates)]
    return yaml.dump_all(documents, Dumper=yaml.CSafeDumper, sort_keys=True, allow_unicode=True, width=120)


def main() -> None:
    templates = Templates.load()
    for stale in GOLDEN.glob("*.yaml"):
        if stale.stem not in CASES:
            stale.unlink()
    GOLDEN.mkdir(exist_ok=True)
    for name, case in CASES.items():
        (GOLDEN / f"{name}.yaml").write_text(text_of(case, templates), encoding="utf-8")
    print(f"{len(CASES)} goldens written to {GOLDEN}")


if __name__ == "__main__":
    main()
