"""`modelrollout replay`: which of the rollouts that are over it would have stopped, next to what happened."""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelrollout.domain.analysis import DEFAULT_PROVIDER, Mode
from modelrollout.domain.model_deployment import ModelDeployment
from modelrollout.measure.instruments import DEFAULT_GATEWAY, Instruments, gateways
from modelrollout.measure.provider_settings import ProviderSettings, providers_of
from modelrollout.simulate.deployment_file import Unreadable, deployment_of, stored_objects
from modelrollout.simulate.past import NOTHING_KEPT, Found, rollouts_of_file, rollouts_of_status
from modelrollout.simulate.replay import NoAnswer, replay
from modelrollout.simulate.replay_told import Replayed, replay_told
from modelrollout.simulate.retell import PastRollout
from modelrollout.simulate.tables import Format

EXIT_FAILED, EXIT_USAGE = 1, 64


def add_to(commands: Any) -> None:
    """Add the command to argparse's; its namespace gets `act`, which runs it and returns the exit code."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "replay", help="which past rollouts it would have stopped, by what a Prometheus still has of them"
    )
    parser.add_argument("file", help="what `kubectl get modeldeployment -o yaml` writes; - is standard input")
    parser.add_argument("--prometheus", metavar="URL", help="base address of the Prometheus")
    parser.add_argument("--providers", metavar="FILE", help="or the operator's file of metrics providers, and")
    parser.add_argument("--provider", metavar="NAME", default=DEFAULT_PROVIDER, help="which of them; default: default")
    parser.add_argument(
        "--gateway", choices=gateways(), default=DEFAULT_GATEWAY, help="whose series source gateway reads; traefik"
    )
    parser.add_argument("--allow-promql", action="store_true", help="ask for gauges by gauge.promql, too")
    parser.add_argument("--namespace", metavar="NAME", help="only ModelDeployments of this namespace")
    parser.add_argument("--name", metavar="NAME", help="only the one of this name")
    parser.add_argument("--from", dest="since", type=_time, metavar="TIME", help="only rollouts that began from then")
    parser.add_argument("--to", dest="until", type=_time, metavar="TIME", help="only rollouts that began by then")
    parser.add_argument("--rollouts", metavar="FILE", help="rollouts that status.decisions no longer keeps")
    parser.add_argument("--output", type=Format, choices=list(Format), default=Format.TEXT, help="text by default")
    parser.set_defaults(act=_act)


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        wish = "write one such as 2026-11-22 or 2026-11-22T10:00:00Z"
        raise argparse.ArgumentTypeError(f"{text} is no time; {wish}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _act(given: argparse.Namespace) -> int:
    try:
        provider = _provider(given)
        found = [_found(body, given) for body in stored_objects(given.file, given.namespace, given.name)]
        if given.rollouts is not None and len(found) > 1:
            raise Unreadable(f"{given.file}: has {len(found)} ModelDeployments; name the one of --rollouts with --name")
    except ValueError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    if all(past.untold == (NOTHING_KEPT,) for _, past in found):
        print(f"{given.file}: {NOTHING_KEPT}", file=sys.stderr)
        return EXIT_FAILED
    try:
        instruments = _instruments(given)
        page = replay_told([_replayed(desired, past, provider, instruments) for desired, past in found])
    except NoAnswer as error:
        print(error, file=sys.stderr)
        return EXIT_FAILED
    sys.stdout.write(page.as_(given.output))
    return 0


def _found(body: Mapping[str, Any], given: argparse.Namespace) -> tuple[ModelDeployment, Found]:
    desired = _readable(deployment_of(body, given.file), given)
    past = rollouts_of_status(body) if given.rollouts is None else Found(rollouts=rollouts_of_file(given.rollouts))
    kept = tuple(each for each in past.rollouts if _is_within(each, given))
    return desired, Found(rollouts=kept, untold=past.untold)


def _readable(desired: ModelDeployment, given: argparse.Namespace) -> ModelDeployment:
    """The spec as the operator would freeze it with a rollout; Unreadable says why it could not be judged."""
    instruments = _instruments(given)
    desired = instruments.completed(desired)
    refused = instruments.refusal(desired)
    if refused is not None:
        raise Unreadable(f"{given.file}: {desired.key.name}: {refused.reason}: {refused.message}")
    return desired


def _instruments(given: argparse.Namespace) -> Instruments:
    return Instruments(gateway=given.gateway, promql=given.allow_promql)


def _is_within(rollout: PastRollout, given: argparse.Namespace) -> bool:
    begun = datetime.fromtimestamp(rollout.begun, UTC)
    return (given.since is None or begun >= given.since) and (given.until is None or begun <= given.until)


def _replayed(desired: ModelDeployment, past: Found, provider: ProviderSettings, instruments: Instruments) -> Replayed:
    if desired.analysis.mode is Mode.NONE:
        untold = ("analysis.mode is none, so nothing is judged; write observe in the file to see what would be",)
        return Replayed(desired=desired, retold=(), untold=untold)
    retold = asyncio.run(replay(desired, past.rollouts, provider, instruments))
    return Replayed(desired=desired, retold=retold, untold=past.untold)


def _provider(given: argparse.Namespace) -> ProviderSettings:
    """Where to ask: an address, or one of the operator's providers with its credentials."""
    try:
        text = None if given.providers is None else Path(given.providers).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"--providers: {given.providers} cannot be read: {error}") from error
    known: Sequence[ProviderSettings] = providers_of(given.prometheus, text, str(given.providers))
    found = next((each for each in known if each.name == given.provider), None)
    if found is None:
        raise Unreadable(
            f"--provider: there is no {given.provider}; write --prometheus URL, or --providers with a file that has it"
        )
    return found
