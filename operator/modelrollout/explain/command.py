"""`modelrollout explain`: the evidence of a rollout, for a person who wants to see what a decision rests on."""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from modelrollout.errors import RolloutError
from modelrollout.explain.page import page
from modelrollout.explain.source import Found, from_cluster, from_file
from modelrollout.simulate.deployment_file import Unreadable

EXIT_FAILED, EXIT_USAGE = 1, 64


def add_to(commands: Any) -> None:
    """Add the command to argparse's; its namespace gets `act`, which runs it and returns the exit code."""
    parser: argparse.ArgumentParser = commands.add_parser("explain", help="the evidence that a rollout is judged by")
    parser.add_argument("name", nargs="?", help="of the ModelDeployment; read through the kubeconfig")
    parser.add_argument("-n", "--namespace", default="default", help="its namespace; default: default")
    parser.add_argument("--kubeconfig", metavar="FILE", help="default: $KUBECONFIG, else ~/.kube/config")
    instead = "instead: what `kubectl get configmap -o yaml` wrote; - is standard input"
    parser.add_argument("--file", metavar="FILE", help=instead)
    parser.set_defaults(act=_act)


def _act(given: argparse.Namespace) -> int:
    if (given.name is None) == (given.file is None):
        print("explain: write the name of a ModelDeployment, or --file", file=sys.stderr)
        return EXIT_USAGE
    try:
        found = _found(given)
    except Unreadable as error:
        print(error, file=sys.stderr)
        return EXIT_FAILED
    except RolloutError as error:
        print(error.message, file=sys.stderr)
        return EXIT_FAILED
    sys.stdout.write(page(found))
    return 0


def _found(given: argparse.Namespace) -> Found:
    if given.file is not None:
        return from_file(given.file)
    named = given.kubeconfig or os.environ.get("KUBECONFIG", "").partition(os.pathsep)[0]
    kubeconfig = Path(named) if named else Path.home() / ".kube" / "config"
    return asyncio.run(from_cluster(given.namespace, given.name, kubeconfig))
