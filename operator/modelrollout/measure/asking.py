"""From a plan to its polls: each query asked once, the answers read for both arms, one twin of an HA pair each."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from modelrollout.domain.polls import REQUESTS, Poll, ProviderFault, Series
from modelrollout.measure.ambiguity import Answers, told_apart
from modelrollout.measure.queries import MeasurePlan, Query, queries, read_series
from modelrollout.measure.replicas import one_replica
from modelrollout.measure.rows import Rows


class AnswersQueries(Protocol):
    """A provider, or what stands before it. Never raises for what the provider does."""

    async def rows(self, query: Query) -> Rows | ProviderFault: ...


class Asking:
    """Plans, answered by one provider. A fault is an answer of its own."""

    def __init__(self, provider: AnswersQueries, *, replica_label: str) -> None:
        self._provider = provider
        self._replica_label = replica_label

    async def ask(self, plan: MeasurePlan) -> tuple[Poll, ...]:
        """One poll per time of the plan, from one look: raw samples are the same whenever one looks."""
        asked = queries(plan)
        answers = await asyncio.gather(*(self._provider.rows(query) for query in asked))
        named = {query.name: _read(query, answer, plan) for query, answer in zip(asked, answers, strict=True)}
        texts = {query.name: query.text for query in asked}
        if not named:
            named = {REQUESTS: ()}
        labels = {query.name: query.place.arm for query in asked}

        def answered(at: float) -> Answers:
            return told_apart(one_replica(_until(at, named), self._replica_label), labels)

        return tuple(Poll(at=at, answers=answered(at), queries=texts) for at in plan.polls)

    async def rows(self, query: Query) -> Rows | ProviderFault:
        """One question that is no poll's, answered as it is."""
        return await self._provider.rows(query)

    async def sees(self, plan: MeasurePlan, revision: str) -> bool | ProviderFault:
        """Whether the revision's requests are counted by any series at all, or why that is not known."""
        for query in queries(plan):
            if query.name == REQUESTS:
                answer = _read(query, await self._provider.rows(query), plan)
                if isinstance(answer, ProviderFault):
                    return answer
                return any(series.revision == revision for series in answer)
        return False


_Answer = tuple[Series, ...] | ProviderFault


def _read(query: Query, answer: Rows | ProviderFault, plan: MeasurePlan) -> _Answer:
    return answer if isinstance(answer, ProviderFault) else read_series(query, answer, plan)


def _until(at: float, named: Mapping[str, _Answer]) -> dict[str, _Answer]:
    """What a poll at that time would have seen."""
    return {name: answer if isinstance(answer, ProviderFault) else _cut(answer, at) for name, answer in named.items()}


def _cut(answer: tuple[Series, ...], at: float) -> tuple[Series, ...]:
    cut = (replace(s, samples=tuple(x for x in s.samples if x.t <= at)) for s in answer)
    return tuple(series for series in cut if series.samples)
