"""`modelrollout simulate`: what a rollout of a spec will be like, before anybody's users meet it."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from modelrollout.domain.conditions import Remark
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.simulate import arguments
from modelrollout.simulate.deployment_file import Unreadable, read_deployment
from modelrollout.simulate.own_metrics import said_of
from modelrollout.simulate.picture import NoPicture, draw
from modelrollout.simulate.recorded import judge_recorded, read_recorded
from modelrollout.simulate.scenario import TRAEFIK, Lognormal, Rate, Scenario, Version
from modelrollout.simulate.study import study
from modelrollout.simulate.tables import Format, Page
from modelrollout.simulate.told import told

EXIT_USAGE = 64
DEFAULT_ERRORS = 0.005
TIMES_WORSE = (2, 4, 10)
HALF = 0.5
SLOWER = (1.5, 2.0)

Prepared = Callable[[ModelDeployment, str], ModelDeployment | Remark]
"""The spec as the operator behind that gateway would freeze it with a rollout, or why it would not roll it out."""


def add_to(commands: Any, prepared: Prepared, gateways: Sequence[str]) -> None:
    """Add the command to argparse's; its namespace gets `act`, which runs it and returns the exit code."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "simulate", help="how long a rollout will take, what it will catch, how often it will be wrong"
    )
    parser.add_argument("file", help="a ModelDeployment in YAML or JSON; - is standard input")
    users = parser.add_argument_group("users and both versions")
    users.add_argument("--rps", type=float, metavar="N", help="requests per second of both versions together")
    users.add_argument("--errors", type=arguments.rate, default=DEFAULT_ERRORS, metavar="RATE", help="stable's; 0.5%%")
    users.add_argument("--candidate-errors", type=arguments.rate, metavar="RATE", help="expected; default: stable's")
    users.add_argument(
        "--latency", type=arguments.latency, default=Lognormal(), metavar="MEDIAN[/SIGMA]", help="stable's, or none"
    )
    users.add_argument("--candidate-latency", type=arguments.latency, metavar="MEDIAN[/SIGMA]", help="expected")
    users.add_argument("--good-for", type=arguments.seconds, default=0.0, metavar="TIME", help="before it turns bad")
    users.add_argument("--catch", type=arguments.rates, metavar="RATES", help="error rates that should be found out")
    users.add_argument("--slower", type=arguments.factors, metavar="FACTORS", help="latencies, too: times stable's")
    users.add_argument(
        "--metric",
        type=arguments.metric,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="stable's own metrics",
    )
    users.add_argument(
        "--candidate-metric", type=arguments.metric, action="append", default=[], metavar="NAME=VALUE", help="expected"
    )
    there = parser.add_argument_group("the cluster")
    there.add_argument(
        "--gateway", choices=gateways, default=TRAEFIK, help="whose series source gateway reads; traefik"
    )
    there.add_argument("--scrape", type=arguments.seconds, default=15.0, metavar="TIME", help="scrape interval; 15s")
    there.add_argument("--bounds", type=arguments.bounds, metavar="SECONDS", help="of the latency buckets")
    there.add_argument("--pods", type=arguments.count, metavar="N", help="stable's; default: the spec's least")
    there.add_argument("--ready-after", type=arguments.seconds, default=30.0, metavar="TIME", help="of a pod; 30s")
    there.add_argument("--approve-after", type=arguments.seconds, default=0.0, metavar="TIME", help="of a person; 0s")
    work = parser.add_argument_group("the simulation")
    work.add_argument("--runs", type=arguments.count, default=200, metavar="N", help="rollouts of each kind; 200")
    work.add_argument("--seed", type=int, default=1, metavar="N", help="the same gives the same; 1")
    work.add_argument("--jobs", type=arguments.count, default=os.cpu_count() or 1, metavar="N", help="processes")
    work.add_argument("--recorded", metavar="FILE", help="judge these counts instead of simulated ones (CSV or JSON)")
    parser.add_argument("--plot", metavar="FILE", help="a picture: .svg, .png or .pdf; needs modelrollout[plot]")
    parser.add_argument("--output", type=Format, choices=list(Format), default=Format.TEXT, help="text by default")
    parser.set_defaults(act=lambda given: _act(given, prepared))


def _act(given: argparse.Namespace, prepared: Prepared) -> int:
    try:
        page = _page(given, prepared)
    except (Unreadable, NoPicture, ValueError) as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    sys.stdout.write(page.as_(given.output))
    return 0


def _page(given: argparse.Namespace, prepared: Prepared) -> Page:
    desired = prepared(read_deployment(given.file), given.gateway)
    if isinstance(desired, Remark):
        raise Unreadable(f"{given.file}: {desired.reason}: {desired.message}")
    if given.recorded is not None:
        if given.plot is not None:
            raise NoPicture("--plot: recorded counts are judged once; there is nothing to draw")
        return judge_recorded(desired, read_recorded(given.recorded))
    scenario = _scenario(given, desired)
    found = study(
        desired, scenario, worse=_worse(given, scenario.stable), runs=given.runs, seed=given.seed, jobs=given.jobs
    )
    if given.plot is not None:
        draw(found, given.plot)
    return told(found)


def _scenario(given: argparse.Namespace, desired: ModelDeployment) -> Scenario:
    if given.rps is None:
        raise Unreadable("--rps: is missing; write how many requests per second both versions get together")
    own, of_candidate = said_of(desired, given.metric, given.candidate_metric)
    stable = Version(error_rate=given.errors, latency=given.latency, own=tuple(own.items()))
    candidate = Version(
        error_rate=stable.error_rate if given.candidate_errors is None else given.candidate_errors,
        latency=given.candidate_latency or stable.latency,
        own=tuple((own | of_candidate).items()),
    )
    return Scenario(
        requests_per_second=given.rps,
        stable=stable,
        candidate=candidate,
        good_for=given.good_for,
        scrape=given.scrape,
        pods=given.pods,
        ready_after=given.ready_after,
        approve_after=given.approve_after,
        bounds=given.bounds,
        gateway=given.gateway,
    )


def _worse(given: argparse.Namespace, stable: Version) -> tuple[Version, ...]:
    """As asked; else a few times stable's errors, half of all answers, slower ones, and worse metrics of one's own."""
    base = stable.error_rate or 0.0005
    usual = tuple(rate for rate in (*(times * base for times in TIMES_WORSE), HALF) if rate <= HALF)
    rates = usual if given.catch is None else given.catch
    slower = SLOWER if given.slower is None and given.catch is None else given.slower or ()
    latency = stable.latency
    failing = [replace(stable, error_rate=rate) for rate in dict.fromkeys(rates)]
    slow = [replace(stable, latency=latency.slower(each)) for each in slower] if latency else []
    own = [_with_worse(stable, name) for name, _ in stable.own] if given.catch is None else []
    return (*failing, *slow, *own)


def _with_worse(stable: Version, metric: str) -> Version:
    def worse(value: Rate | Lognormal) -> Rate | Lognormal:
        if isinstance(value, Lognormal):
            return value.slower(SLOWER[-1])
        return replace(value, bad=min(TIMES_WORSE[0] * (value.bad or 0.0005), 1.0))

    return replace(stable, own=tuple((name, worse(v) if name == metric else v) for name, v in stable.own))
