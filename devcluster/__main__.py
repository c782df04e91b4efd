"""The command line: python -m devcluster up|down|run|status|sweep|build|images|setup-check."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from types import FrameType

from devcluster import build, images, install, machine, state, sweep
from devcluster.cluster import Cluster
from devcluster.machine import Failed, Unavailable
from devcluster.progress import Progress

EXIT_FAILED = 1
EXIT_UNAVAILABLE = 69  # sysexits.h: EX_UNAVAILABLE


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; the exit status."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    commands = {
        "up": _up,
        "down": _down,
        "run": _run,
        "status": _status,
        "sweep": _sweep,
        "build": _build,
        "images": _images,
        "setup-check": _setup_check,
    }
    try:
        commands[options.command](options)
    except Unavailable as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_UNAVAILABLE
    except Failed as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; nothing is left behind.\n")
        return 128 + signal.SIGINT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="devcluster", description="A real Kubernetes on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="bring a cluster up and leave it running")
    up.add_argument("--no-operator", action="store_true", help="leave our operator out, to run it on this host")
    up.add_argument("--scrape-interval", type=float, default=1, metavar="SECONDS", help="Prometheus's; default 1")
    up.add_argument("--mlserver", action="store_true", help="build and load the model server's image")
    down = commands.add_parser("down", help="take a cluster down; nothing is left")
    run = commands.add_parser("run", help="run the operator on this host against a cluster, brought up if need be")
    for command in (up, down, run):
        command.add_argument("--name", default="dev", help="default: dev")
    commands.add_parser("status", help="the clusters of this machine")
    commands.add_parser("sweep", help="remove what killed clusters left behind")
    commands.add_parser("build", help="build Kubernetes and Prometheus, once per version")
    commands.add_parser("images", help="build all images")
    commands.add_parser("setup-check", help="say what this machine lacks")
    return parser


def _up(options: argparse.Namespace) -> None:
    progress = Progress()
    machine.check()
    archives = [images.mlserver_image(progress)] if options.mlserver else []
    cluster = Cluster(
        options.name,
        scrape_interval=options.scrape_interval,
        operator=not options.no_operator,
        images=archives,
        progress=progress,
    )
    cluster.up()
    cluster.keep()
    progress.say("up")
    _print(f"export KUBECONFIG={cluster.kubeconfig}")
    _print(f"alias kubectl={cluster.kubectl_program}")
    _print(f"gateway     {cluster.gateway_url}")
    _print(f"Prometheus  {cluster.prometheus_url}")


def _down(options: argparse.Namespace) -> None:
    machine.check(images=False)
    progress = Progress()
    sweep.remove(options.name)
    progress.say(f"cluster {options.name} is down")


def _run(options: argparse.Namespace) -> None:
    """Become the operator; Ctrl-C ends it and leaves the cluster up."""
    machine.check()
    if not state.State(options.name).alive:
        progress = Progress()
        cluster = Cluster(options.name, operator=False, images=[images.mlserver_image(progress)], progress=progress)
        cluster.up()
        cluster.keep()
    cluster = Cluster.attach(options.name)
    if cluster.kubectl("get", "deployment", "--namespace", install.NAMESPACE, "--ignore-not-found", "-o", "name"):
        cluster.kubectl("scale", "deployment", "--all", "--replicas=0", "--namespace", install.NAMESPACE)
    _print(f"export KUBECONFIG={cluster.kubeconfig}")
    settings = {
        "MODELROLLOUT_KUBECONFIG": str(cluster.kubeconfig),
        "MODELROLLOUT_PROMETHEUS_URL": cluster.prometheus_url,
        "MODELROLLOUT_LEASE_NAMESPACE": "default",
        "MODELROLLOUT_PROBE_PORT": "0",
    }
    os.execve(sys.executable, [sys.executable, "-m", "modelrollout", "run"], {**os.environ, **settings})  # noqa: S606


def _status(_: argparse.Namespace) -> None:
    for name in sorted({*state.existing(), *sweep.dead()}):
        if not state.State(name).alive:
            _print(f"{name}: dead, remove it with: python -m devcluster sweep")
        elif "programs" in state.State(name).facts():
            cluster = Cluster.attach(name)
            _print(f"{name}: KUBECONFIG={cluster.kubeconfig} {cluster.gateway_url} {cluster.prometheus_url}")
        else:
            _print(f"{name}: an API server only, or on its way up")


def _sweep(_: argparse.Namespace) -> None:
    for name in sweep.sweep():
        _print(f"removed {name}")


def _build(_: argparse.Namespace) -> None:
    progress = Progress()
    _print(str(build.kubernetes(progress)))
    _print(str(build.prometheus(progress)))


def _images(_: argparse.Namespace) -> None:
    machine.check()
    progress = Progress()
    for archive in (images.pause_image(progress), images.mlserver_image(progress), install.operator_image(progress)):
        _print(f"{archive.reference} {archive.path}")


def _setup_check(_: argparse.Namespace) -> None:
    machine.check()
    _print("This machine has everything that the development cluster needs.")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End as Ctrl-C does, so that what was begun is cleaned up."""
    raise KeyboardInterrupt


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
