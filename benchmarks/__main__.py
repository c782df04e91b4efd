"""`python -m benchmarks [name ...]`: measures, and writes benchmarks/results/<name>.md and its pictures.

Exit status: 0 every target was met, 1 one was not or a benchmark failed, 69 this machine cannot bring up a cluster.
"""

import argparse
import shlex
import signal
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from benchmarks.machine import Watch
from benchmarks.result import Result, page
from devcluster import Unavailable

RESULTS = Path(__file__).parent / "results"
TABLES = (
    "detection_table",
    "false_alarms",
    "latency_table",
    "overdispersion",
    "whole_rollout",
    "late_regression",
)
"""Those of the analysis' specification: they have a short form, `QUICK` runs a cell, which the tests run."""
NAMES = (
    "detection",
    "healthy_cluster",
    "real_regressions",
    "healthy_long",
    "provider_faults",
    "first_canary",
    "api_requests",
    "operator_cost",
    "simulated_healthy_rollouts",
    "simulated_detection",
    "decide_cost",
    *TABLES,
)
"""Each is a module of this folder with `measure(repetitions: int | None) -> Result`, and runs with its own default."""
IN_MINUTES = frozenset({"healthy_long"})
"""These take minutes where others take repetitions."""

Measure = Callable[[int | None], Result]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(NAMES)}; default: all")
    parser.add_argument("--repetitions", type=int, help="how often; default: what the benchmark says")
    parser.add_argument("--quick", action="store_true", help="the tables' short form: told, not written")
    parser.add_argument("--minutes", type=int, help=f"how long, of {', '.join(IN_MINUTES)}; the default likewise")
    given = parser.parse_args(arguments)
    names = TABLES if given.quick else NAMES
    unknown = sorted(set(given.names) - set(names))
    if unknown:
        which = "short form of" if given.quick else "benchmark"
        parser.error(f"there is no {which} {', '.join(unknown)}; write any of {', '.join(names)}")
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    good = True
    for name in given.names or names:
        try:
            extent = ("minutes", given.minutes) if name in IN_MINUTES else ("repetitions", given.repetitions)
            good = (_tried(name) if given.quick else _run(name, *extent)) and good
        except Unavailable as error:
            sys.stderr.write(f"{error}\n")
            return 69
        except Exception:  # noqa: BLE001 -- the others are measured all the same, and this one is told
            traceback.print_exc()
            good = False
    return 0 if good else 1


def _run(name: str, unit: str, extent: int | None) -> bool:
    more = "" if extent is None else f" --{unit} {extent}"
    print(f"━━ {name}", flush=True)
    watch = Watch(f"python -m benchmarks {shlex.quote(name)}{more}")
    measure: Measure = import_module(f"benchmarks.{name}").measure
    result = measure(extent)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.md"
    path.write_text(page(result, watch.circumstances()))
    for picture in result.pictures:
        (RESULTS / f"{picture.name}.svg").write_text(picture.svg)
    _tell(result)
    print(f"written to {path}", flush=True)
    return result.met


def _tried(name: str) -> bool:
    print(f"━━ {name}, quick", flush=True)
    module = import_module(f"benchmarks.{name}")
    result: Result = module.measure(module.QUICK)
    _tell(result)
    return result.met


def _tell(result: Result) -> None:
    for target in result.targets:
        print(f"{'met   ' if target.met else 'MISSED'}  {target.what}: {target.measured}, wanted {target.wanted}")


if __name__ == "__main__":
    sys.exit(main())
