"""The evidence ConfigMap is deleted or damaged in the middle of a rollout, and the operator begins anew."""

import pytest

from modelrollout import names
from modelrollout.cluster.kinds import CONFIG_MAP
from modelrollout.domain.evidence import Evidence
from modelrollout.render.templates import EVIDENCE_KEY
from tests.controller.rollout_world import Rollout, a_rollout, at_first_step
from tests.controller.walking import KEY

NAME = names.evidence_name(KEY.name)


def remembered(rollout: Rollout) -> Evidence:
    evidence = rollout.world.evidence.of(rollout.world.observed().uid)
    assert evidence is not None
    return evidence


async def at_second_step(rollout: Rollout) -> Evidence:
    """A minute in it, so that something was saved."""
    await at_first_step(rollout)
    while rollout.weight != 50:
        await rollout.pass_time(1.0)
    await rollout.pass_time(21.0)
    return remembered(rollout)


async def lose(rollout: Rollout) -> None:
    live = rollout.world.api.one(CONFIG_MAP, NAME)
    await rollout.world.api.delete(live)
    rollout.world.evidence.forget(KEY)


def damage(rollout: Rollout) -> None:
    live = rollout.world.api.one(CONFIG_MAP, NAME)
    text = live["data"][EVIDENCE_KEY].replace('"block_seq":', '"block_seq":1')
    rollout.world.api.put({**live, "data": {EVIDENCE_KEY: text}})
    rollout.world.evidence.forget(KEY)


@pytest.mark.parametrize("how", ["deleted", "changed by hand"])
async def test_it_is_gathered_again_and_equals_what_was_lost(how: str) -> None:
    with a_rollout() as rollout:
        before = await at_second_step(rollout)
        assert before.step == 1
        if how == "deleted":
            await lose(rollout)
        else:
            damage(rollout)
        await rollout.pass_time(0.2)
        after = remembered(rollout)
        assert after.replay is None
        assert after.restarted_at is None
        assert (after.requests, after.entered) == (before.requests, before.entered)
        assert [m.tests for m in after.metrics] == [m.tests for m in before.metrics]
        await rollout.until("Stable")
        assert rollout.decided()[-1] == "Promote"


async def test_without_the_samples_it_goes_on_from_status_and_says_so_once() -> None:
    with a_rollout() as rollout:
        before = await at_second_step(rollout)
        await lose(rollout)
        for samples in rollout.gateway.samples.values():
            del samples[:-2]
        await rollout.until("Stable")
        assert rollout.decided()[-1] == "Promote"
        told = [event for event in rollout.world.api.events if event[0] == "EvidenceRestarted"]
        assert len(told) == 1
        assert "EvidenceRestarted" in rollout.status["analysis"]["flags"]
        assert remembered(rollout).requests.n_canary >= before.step_requests.n_canary


async def test_while_the_metrics_do_not_answer_it_holds() -> None:
    with a_rollout() as rollout:
        await at_second_step(rollout)
        await lose(rollout)
        rollout.script.status = 503
        await rollout.pass_time(120.0)
        assert rollout.weight == 50
        assert rollout.status["phase"] == "Holding"
        assert len(rollout.script.asked) < 400
        rollout.script.status = 200
        await rollout.until("Stable")
        assert "EvidenceRestarted" not in rollout.status["analysis"].get("flags", [])


async def test_a_bake_does_not_end_before_it_was_gathered_again() -> None:
    """Else errors at 100 % that had been found would be forgotten."""
    with a_rollout() as rollout:
        await at_second_step(rollout)
        while rollout.weight != 100:
            await rollout.pass_time(1.0)
        await lose(rollout)
        rollout.script.status = 503
        await rollout.pass_time(60.0)
        assert rollout.decided()[-1] != "Promote"
        rollout.script.status = 200
        await rollout.until("Stable")
        assert rollout.decided()[-1] == "Promote"
