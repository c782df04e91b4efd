"""What a rollout of a spec will be like: the operator's own rules over drawn or recorded traffic, in simulated time.

    from modelrollout.simulate import Scenario, Version, read_deployment, study, told

    found = study(read_deployment("md.yaml"), Scenario(requests_per_second=50), worse=[Version(error_rate=0.05)])
    print(told(found).as_("text"))

Needs no cluster and no Prometheus. `modelrollout.simulate.replay` looks at a Prometheus' past.
"""

from modelrollout.simulate.deployment_file import Unreadable, read_deployment
from modelrollout.simulate.picture import NoPicture, draw
from modelrollout.simulate.recorded import Count, Interval, judge_recorded, read_recorded
from modelrollout.simulate.rollout import Ending, Run, StepRun, roll_out
from modelrollout.simulate.scenario import Lognormal, Rate, Scenario, Version
from modelrollout.simulate.study import Runs, Spread, Study, simulate, study
from modelrollout.simulate.tables import Format, Page
from modelrollout.simulate.told import told

__all__ = [
    "Count",
    "Ending",
    "Format",
    "Interval",
    "Lognormal",
    "NoPicture",
    "Page",
    "Rate",
    "Run",
    "Runs",
    "Scenario",
    "Spread",
    "StepRun",
    "Study",
    "Unreadable",
    "Version",
    "draw",
    "judge_recorded",
    "read_deployment",
    "read_recorded",
    "roll_out",
    "simulate",
    "study",
    "told",
]
