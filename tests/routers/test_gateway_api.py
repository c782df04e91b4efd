from typing import Any

import pytest

from modelrollout.cluster.answers import NotFound
from modelrollout.cluster.kinds import HTTP_ROUTE
from modelrollout.domain.conditions import Reason
from modelrollout.domain.traffic import RouteSeen, Routing
from modelrollout.errors import RouterUnavailable
from modelrollout.render.templates import Templates
from modelrollout.routers.gateway_api import GatewayApiRouter
from tests.builders import KEY, NOW, STABLE
from tests.fakeapi.memory import MemoryApi

PARENT = {"name": "public", "namespace": "infra"}
TEMPLATES = Templates.load()


def condition(kind: str, status: str = "True", generation: int = 1, **rest: str) -> dict[str, Any]:
    return {"type": kind, "status": status, "observedGeneration": generation, **rest}


def said(parent: dict[str, Any], *conditions: dict[str, Any], controller: str = "example/one") -> dict[str, Any]:
    return {"parentRef": parent, "controllerName": controller, "conditions": list(conditions)}


GOOD = (condition("Accepted"), condition("ResolvedRefs"))


async def seen_with(*parents: dict[str, Any], refs: list[dict[str, Any]] | None = None) -> RouteSeen:
    api = MemoryApi()
    router = GatewayApiRouter(api, TEMPLATES, api.store.children)
    await router.write(STABLE, "uid-1", Routing(stable="bbbbbbbb"), RouteSeen(exists=False), NOW)
    live = api.one(HTTP_ROUTE, KEY.name)
    spec = {**live["spec"], "parentRefs": [PARENT] if refs is None else refs}
    api.put({**live, "spec": spec, "status": {"parents": list(parents)}})
    return router.read(KEY, api.store.children(KEY))


async def test_a_route_is_accepted_when_its_parent_says_both() -> None:
    seen = await seen_with(said(PARENT, *GOOD))
    assert seen.accepted
    assert seen.answered
    assert seen.problem is None


async def test_a_route_nobody_spoke_of_is_neither_accepted_nor_answered() -> None:
    seen = await seen_with()
    assert (seen.accepted, seen.answered, seen.problem) == (False, False, None)


async def test_defaults_that_a_controller_fills_in_name_the_same_parent() -> None:
    full = {"group": "gateway.networking.k8s.io", "kind": "Gateway", **PARENT}
    assert (await seen_with(said(full, *GOOD))).accepted


async def test_a_parent_without_a_namespace_is_in_that_of_the_route() -> None:
    seen = await seen_with(said({"name": "public", "namespace": "shop"}, *GOOD), refs=[{"name": "public"}])
    assert seen.accepted


async def test_what_was_said_of_an_older_generation_does_not_count() -> None:
    old = [condition("Accepted", generation=0), condition("ResolvedRefs", generation=0)]
    seen = await seen_with(said(PARENT, *old))
    assert (seen.accepted, seen.answered) == (False, False)


async def test_every_parent_we_ask_for_must_accept() -> None:
    other = {"name": "internal", "namespace": "infra"}
    seen = await seen_with(said(PARENT, *GOOD), refs=[PARENT, other])
    assert not seen.accepted
    assert seen.answered


async def test_a_parent_we_do_not_ask_for_says_nothing() -> None:
    assert not (await seen_with(said({"name": "other", "namespace": "infra"}, *GOOD))).answered


async def test_a_refusal_is_told_with_its_reason_and_message() -> None:
    refused = condition("Accepted", "False", reason="NotAllowedByListeners", message="no listener allows shop")
    seen = await seen_with(said(PARENT, refused, condition("ResolvedRefs")))
    assert not seen.accepted
    assert seen.answered
    assert seen.problem is not None
    assert seen.problem.reason is Reason.ROUTE_NOT_ACCEPTED
    assert "NotAllowedByListeners: no listener allows shop" in seen.problem.message
    assert "Gateway public" in seen.problem.message


async def test_unresolved_backends_are_a_refusal() -> None:
    refused = condition("ResolvedRefs", "False", reason="BackendNotFound")
    seen = await seen_with(said(PARENT, condition("Accepted"), refused))
    assert seen.problem is not None
    assert "BackendNotFound" in seen.problem.message


async def test_a_dead_controllers_refusal_does_not_outweigh_a_living_ones_word() -> None:
    refused = condition("Accepted", "False", reason="NoMatchingParent")
    seen = await seen_with(said(PARENT, refused, controller="example/dead"), said(PARENT, *GOOD))
    assert seen.accepted
    assert seen.problem is None


async def test_without_parents_nothing_is_accepted() -> None:
    assert not (await seen_with(refs=[])).accepted


async def test_a_cluster_without_the_gateway_api_is_told_what_to_do() -> None:
    api = MemoryApi()
    api.refuse = lambda *_: NotFound("the server could not find the requested resource")
    router = GatewayApiRouter(api, TEMPLATES, api.store.children)
    with pytest.raises(RouterUnavailable, match="Install the Gateway API"):
        await router.write(STABLE, "uid-1", Routing(stable="bbbbbbbb"), RouteSeen(exists=False), NOW)
