"""One walk's world with what several rules want to know of it, worked out once. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from modelrollout.decide import preflight, service_burn
from modelrollout.decide.capacity import candidate_wish, stable_wish
from modelrollout.decide.evidence import begin, enter_step
from modelrollout.decide.findings import replayed
from modelrollout.decide.judge import judge
from modelrollout.decide.recovery import recovered, resumed
from modelrollout.domain.analysis import AnalysisSettings, Mode, StepTiming
from modelrollout.domain.conditions import Remark
from modelrollout.domain.evidence import Evidence, StepEntered
from modelrollout.domain.intent import Intent
from modelrollout.domain.judgement import Action as Advice
from modelrollout.domain.judgement import Judgement
from modelrollout.domain.metrics import ERRORS
from modelrollout.domain.model_deployment import ModelDeployment, RouterName, Step
from modelrollout.domain.observed import Observed, Workload
from modelrollout.domain.parse import analysis_settings
from modelrollout.domain.plan import Action, ApplyWorkload, PointService, ShiftTraffic
from modelrollout.domain.traffic import Routing, TrafficSplit

DRAIN = timedelta(seconds=5)
"""From a route seen without a revision until its pods may go: proxies settle, requests in flight finish."""
SETTLED_AFTER = timedelta(seconds=2)
"""From a route written until its gateway has it in effect: acceptance comes a moment before, and nothing tells when."""
UNANSWERED = timedelta(seconds=4)
"""A route that no Gateway has answered for this long is told as a problem: a person learns of it within 5 s."""


@dataclass(frozen=True)
class View:
    """Without slots: the cached properties live in the instance."""

    observed: Observed
    desired: ModelDeployment
    now: datetime

    @property
    def intent(self) -> Intent:
        return self.observed.intent

    @cached_property
    def candidate(self) -> Workload | None:
        return self.observed.workload(self.intent.candidate)

    @cached_property
    def paused(self) -> bool:
        return self.desired.paused or self.intent.paused

    @cached_property
    def routing(self) -> Routing | None:
        """The routing that the intent asks for; None while nothing may take traffic yet."""
        intent = self.intent
        if intent.stable is None:
            return None
        if intent.candidate is None or intent.weight == 0:
            return Routing(stable=intent.stable)
        split = TrafficSplit(stable=100 - intent.weight, candidate=intent.weight)
        return Routing(stable=intent.stable, candidate=intent.candidate, split=split)

    @cached_property
    def drained(self) -> bool:
        """Whether the route has been accepted as it is for long enough that no old request is under way."""
        route, since = self.observed.route, self.intent.since
        if not route.exists:
            return True
        moments = [moment for moment in (since, route.shifted_at) if moment is not None]
        return route.accepted and (not moments or self.now - max(moments) >= DRAIN)

    @cached_property
    def settling(self) -> timedelta:
        """Until the route may be taken to be in effect, or one that no Gateway answered for is told as a problem."""
        route = self.observed.route
        if route.shifted_at is None:
            return timedelta(0)
        wait = SETTLED_AFTER if route.accepted or route.answered else UNANSWERED
        return max(route.shifted_at + wait - self.now, timedelta(0))

    @cached_property
    def step(self) -> Step | None:
        """The step whose weight is in effect; None at 0, at 100, or when it was edited away."""
        return self._step_at(self.intent.weight)

    def _step_at(self, weight: int) -> Step | None:
        return next((step for step in self.desired.rollout.steps if step.weight == weight), None)

    @cached_property
    def settings(self) -> AnalysisSettings:
        """As frozen when the rollout started."""
        return self.desired.analysis if self.intent.analysis is None else analysis_settings(self.intent.analysis)

    @property
    def lag(self) -> float:
        """Seconds after a grid time until the metrics provider has its samples."""
        return self.observed.lag_of(self.settings.provider)

    @cached_property
    def timing(self) -> StepTiming:
        return self._timing_of(self.step)

    def _timing_of(self, step: Step | None) -> StepTiming:
        if step is None:
            return StepTiming.of(self.settings)
        return StepTiming.of(self.settings, min_duration=step.min_duration, deadline=step.deadline)

    @cached_property
    def compared(self) -> bool:
        """Whether both revisions get traffic, and are to be judged by it."""
        intent = self.intent
        return not intent.leaving and 0 < intent.weight < 100 and self.settings.mode is not Mode.NONE

    @cached_property
    def watched(self) -> bool:
        """Whether the candidate's requests are counted: compared, or at 100 % held against its limits alone.

        Not where a person or stable's end put everything on it: then there is no better place for the traffic.
        """
        intent = self.intent
        alone = intent.weight >= 100 and not intent.promote and not intent.leaving
        return self.compared or (alone and self.settings.mode is not Mode.NONE)

    @cached_property
    def evidence(self) -> Evidence | None:
        """The evidence of this attempt and step; begun where there is none."""
        begun, current = self.begun, self._in_effect
        if not self.watched or begun is None or current is None:
            return None
        begun = resumed(begun, self.settings, current)
        if begun.replay is not None:
            return begun
        return enter_step(begun, self.settings, step=current.step, weight=current.weight, at=current.at)

    @property
    def _in_effect(self) -> StepEntered | None:
        """The weight that counts; None before the first one."""
        weight, since = self.intent.weight, self.intent.since
        if weight == 0 or since is None:
            return None
        step = max(self.desired.rollout.next_above(weight - 1), 0)
        return StepEntered(step=step, weight=weight, at=since.timestamp())

    @cached_property
    def begun(self) -> Evidence | None:
        """This attempt's evidence, from when its first step is being prepared; None where nothing will be counted."""
        intent = self.intent
        started = intent.started_at or intent.since
        if intent.stable is None or intent.candidate is None or intent.leaving or started is None:
            return None
        if self.settings.mode is Mode.NONE:
            return None
        evidence, attempt = self.observed.evidence, str(intent.attempt)
        if evidence is not None and evidence.attempt == attempt and evidence.candidate == intent.candidate:
            return evidence
        steps, current = self.desired.rollout.steps, self._in_effect
        fresh = begin(
            self.settings,
            stable=intent.stable,
            candidate=intent.candidate,
            attempt=attempt,
            steps=max(len(steps), 1),
            at=started.timestamp(),
            last_deadline=steps[-1].deadline if steps else None,
        )
        if current is None or not self.watched:
            return fresh
        return recovered(fresh, self.settings, self.observed.status.mapping, current, self.now.timestamp())

    @property
    def is_replayed(self) -> bool:
        """Whether lost evidence is being gathered again: until that is done it decides nothing."""
        return self.evidence is not None and self.evidence.replay is not None

    @cached_property
    def look_back(self) -> float | None:
        """Until when stable's past is to be asked for; None where it was, or where a block was counted already."""
        begun, since = self.begun, self.intent.started_at
        if begun is None or since is None or begun.before is not None or begun.block_seq > 0 or self.is_replayed:
            return None
        return since.timestamp()

    @cached_property
    def first_step(self) -> bool:
        """Whether the first weight that is compared is being prepared."""
        return self.begun is not None and self.intent.weight == 0 and 0 < self.intent.target < 100

    @cached_property
    def obstacle(self) -> Remark | None:
        """Why the first step should not begin, as far as looks at the metrics told."""
        if self.unreadable is not None or self.begun is None:
            return self.unreadable
        found = service_burn.burning(self.begun, self.settings, self.now.timestamp())
        return None if found is None else service_burn.obstacle(found, self.settings)

    @cached_property
    def unreadable(self) -> Remark | None:
        """Why the first step cannot be judged, as far as a first look at the metrics told."""
        looked = None if self.begun is None else self.begun.preflight
        return None if looked is None else preflight.obstacle(looked)

    @cached_property
    def outlook(self) -> Remark | None:
        """What the first look told, good or bad; None before it and after the first weight."""
        looked = None if self.begun is None else self.begun.preflight
        if looked is None or self.begun is None or not self.first_step:
            return None
        timing = self._timing_of(self._step_at(self.intent.target))
        phi = next((m.tests[0].scatter.phi for m in self.begun.metrics if m.name == ERRORS), 1.0)
        if self.obstacle is not None:
            return self.obstacle
        told = preflight.outlook(looked, self.settings, timing, self.intent.target, phi)
        unknown = service_burn.unknown(self.begun, self.settings, self.now.timestamp())
        return replace(told, message=f"{told.message} {unknown}") if unknown else told

    @cached_property
    def next_look(self) -> timedelta | None:
        """How long until the metrics are to be looked at; None where that was done and nothing stands in the way."""
        if self.begun is None or not self.first_step:
            return None
        looked = self.begun.preflight
        if looked is None:
            return timedelta(0)
        if self.unreadable is None:
            return None
        return max(preflight.AGAIN - timedelta(seconds=self.now.timestamp() - looked.at), timedelta(0))

    @cached_property
    def service_look(self) -> timedelta | None:
        """How long until the whole service is to be looked at; None where that would decide nothing."""
        waits = self.first_step and not self.paused
        if self.begun is None or not (waits or self.compared):
            return None
        return service_burn.next_look(self.begun, self.settings, self.now.timestamp())

    @cached_property
    def judgement(self) -> Judgement | None:
        """At 100 % only where a guardrail has spoken: nothing else is judged there."""
        evidence, routing = self.evidence, self.routing
        if evidence is None or routing is None:
            return None
        if evidence.replay is not None:
            return replayed(evidence, self.settings) if self.compared else None
        route = self.observed.route
        judged = judge(
            evidence,
            self.settings,
            self.timing,
            self.now.timestamp(),
            guardrail=None,
            shifted=route.accepted and route.carries(routing),
            paused=self.pause,
            lag=self.lag,
        )
        return judged if self.compared or judged.action is Advice.ROLLBACK else None

    @cached_property
    def pause(self) -> timedelta:
        """Time spent paused in this step, up to now."""
        since = self.intent.paused_since
        return self.intent.paused_for + (self.now - since if since is not None else timedelta(0))

    @cached_property
    def upkeep(self) -> tuple[Action, ...]:
        """Everything that should be on the cluster for the intent that was read; what is equal is not written."""
        wishes: list[Action] = []
        if self.intent.stable is not None:
            wishes.append(stable_wish(self.observed, self.desired))
        if self.intent.candidate is not None:
            wishes.append(candidate_wish(self.observed, self.desired))
        kept: list[Action] = [
            wish for wish in wishes if isinstance(wish, ApplyWorkload) and self.observed.snapshot(wish.revision)
        ]
        if self.intent.stable is not None and not self.by_replicas and self.observed.service_exists:
            kept.append(PointService(revision=self.observed.service_points_at or self.intent.stable))
        if self.routing is not None and self.observed.route.carries(self.routing):
            kept.append(ShiftTraffic(routing=self.routing, at=self.now))  # hostnames and the like; the weights stay
        return tuple(kept)

    @cached_property
    def by_replicas(self) -> bool:
        return (self.intent.router or self.desired.traffic.router) == RouterName.REPLICA_RATIO
