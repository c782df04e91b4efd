"""`python -m demo`, which is `make demo`: six versions of a model meet real users on a real cluster.

Exit status: 0 the story came out as told, 1 it did not, 69 this machine cannot bring up a cluster, 130 interrupted.
"""

import signal
import sys

from demo.kubectl import KubectlError
from demo.stage import Stage, stage
from demo.story import tell
from demo.timeline import Timeline
from devcluster import Unavailable
from devcluster.machine import Failed

NEXT = (
    "What to try next:",
    "  examples/quickstart       the manifest that you just saw, 30 lines",
    "  examples/canary-analysis  the same with every choice about its rollout written down",
    "  demo/models.py            change a version, run `make demo` again, and see what becomes of it",
)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    timeline = Timeline()
    try:
        with stage(timeline) as here:
            as_told = tell(here, timeline)
            _say_what_next(timeline, here)
    except Unavailable as error:
        sys.stderr.write(f"{error}\nAny cluster that has the operator will do as well: KUBECONFIG=... make demo\n")
        return 69
    except (Failed, KubectlError, RuntimeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    timeline.say("done")
    return 0 if as_told else 1


def _say_what_next(timeline: Timeline, here: Stage) -> None:
    timeline.show((*NEXT, *here.afterwards))


if __name__ == "__main__":
    sys.exit(main())
