"""What every ring shares: a summary line that names what did not run, so that no skip is silent."""

from pathlib import Path

import pytest

_RINGS = {"e2e": "e2e", "conformance": "conformance", "crds": "conformance", "wire": "wire"}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    rings = {_RINGS.get(part) for report in skipped for part in Path(report.nodeid.split("::")[0]).parts}
    for ring in sorted(ring for ring in rings if ring):
        terminalreporter.write_line(f"RING NOT RUN IN FULL ON THIS MACHINE: {ring} (see the skips above)", red=True)
