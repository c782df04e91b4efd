"""Queries of several ModelDeployments that differ only in whom they ask for are asked as one.

What arrives within a moment and has the same series name, forced matchers and label becomes one query for all values,
and its answer is split by that label. The forced namespace is part of what has to be the same, or of each value. Each
gets the rows that its own query would have got, so nothing that is decided depends on who asked at the same time.

One member cannot spoil the others: where a shared query is refused, too large or answered in part, its members are
asked singly at once; after any fault they are asked singly for a while.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

from modelrollout.domain.polls import FaultKind, ProviderFault
from modelrollout.measure.asking import AnswersQueries
from modelrollout.measure.queries import Query, Selector
from modelrollout.measure.rows import Row, Rows

WINDOW = 0.05
"""Seconds that a query waits for others: nothing beside the lag, and enough for what one instant began."""
MOST_MEMBERS = 50
MOST_TEXT = 16 * 1024
"""Characters of all members' patterns in one query."""
ALONE = 60.0
"""Seconds for which members are asked singly after a fault of theirs together."""
_PERHAPS_TOO_MUCH = frozenset({FaultKind.REFUSED, FaultKind.TOO_LARGE, FaultKind.PARTIAL})

Kin = tuple[str, str, str, int]
"""What shared queries have in common: text before and after the values, label, order of magnitude of the span."""


@dataclass(eq=False, slots=True)
class _Batch:
    """Queries that wait for the same moment."""

    members: list[Query] = field(default_factory=list)
    text: int = 0
    answers: "asyncio.Task[list[Rows | ProviderFault]] | None" = None


class SharedQueries:
    """Stands before a provider."""

    def __init__(
        self, provider: AnswersQueries, *, monotonic: Callable[[], float], window: float = WINDOW, alone: float = ALONE
    ) -> None:
        self._provider = provider
        self._monotonic = monotonic
        self._window, self._alone = window, alone
        self._open: dict[Kin, _Batch] = {}
        self._alone_until: dict[Kin, float] = {}
        self._under_way: set[asyncio.Task[list[Rows | ProviderFault]]] = set()

    def close(self) -> None:
        for task in self._under_way:
            task.cancel()

    async def rows(self, query: Query) -> Rows | ProviderFault:
        selector = query.selector
        if selector is None:
            return await self._provider.rows(query)
        kin = _kin(selector)
        if self._alone_until.get(kin, 0.0) > self._monotonic():
            return await self._provider.rows(query)
        batch = self._joined(kin, query, sum(map(len, selector.values)))
        place = len(batch.members) - 1
        if batch.answers is None:
            batch.answers = asyncio.create_task(self._ask(kin, batch), name="shared query")
            self._under_way.add(batch.answers)
            batch.answers.add_done_callback(self._under_way.discard)
        # Nobody's being cancelled takes the answer from the others.
        return (await asyncio.shield(batch.answers))[place]

    def _joined(self, kin: Kin, query: Query, text: int) -> _Batch:
        batch = self._open.get(kin)
        full = batch is None or len(batch.members) >= MOST_MEMBERS or batch.text + text > MOST_TEXT
        if batch is None or full or not _overlap(batch.members[0], query):
            batch = self._open[kin] = _Batch()
        batch.members.append(query)
        batch.text += text
        return batch

    async def _ask(self, kin: Kin, batch: _Batch) -> list[Rows | ProviderFault]:
        """Wait for others, then ask; the answers in the order of the members."""
        await asyncio.sleep(self._window)
        if self._open.get(kin) is batch:
            del self._open[kin]
        members = batch.members
        if len(members) == 1:
            return [await self._provider.rows(members[0])]
        answer = await self._provider.rows(joined(members))
        if not isinstance(answer, ProviderFault):
            return list(split(answer, members))
        self._alone_until[kin] = self._monotonic() + self._alone
        if answer.kind not in _PERHAPS_TOO_MUCH:
            return [answer] * len(members)
        return list(await asyncio.gather(*map(self._provider.rows, members)))


def _overlap(one: Query, other: Query) -> bool:
    """Whether their times are near each other: what lies between is asked for, too."""
    return abs(one.at - other.at) <= min(_selector(one).seconds, _selector(other).seconds)


def _kin(selector: Selector) -> Kin:
    return selector.before, selector.after, selector.label, selector.seconds.bit_length()


def joined(members: Iterable[Query]) -> Query:
    """One query over the time and the values of all; they are of one kin."""
    asked = [(query, _selector(query)) for query in members]
    at = max(query.at for query, _ in asked)
    since = min(query.at - selector.seconds for query, selector in asked)
    values = tuple(dict.fromkeys(value for _, selector in asked for value in selector.values))
    whole = replace(asked[0][1], values=values, seconds=ceil(at - since))
    return replace(asked[0][0], text=whole.text, at=at, selector=whole)


def split(answer: Rows, members: Sequence[Query]) -> Iterator[Rows]:
    """The rows of each member, with the samples of its own span; rows of one label value are looked at once."""
    by_value: defaultdict[str, list[Row]] = defaultdict(list)
    for row in answer:
        by_value[row.labels.get(_selector(members[0]).label, "")].append(row)
    for query in members:
        selector = _selector(query)
        wanted = re.compile("|".join(selector.values) if selector.values else ".*", re.DOTALL)
        mine = (row for value, rows in by_value.items() if wanted.fullmatch(value) for row in rows)
        since = query.at - selector.seconds
        cut = (_within(row, since, query.at) for row in mine)
        yield tuple(row for row in cut if row.samples or row.histograms)


def _within(row: Row, since: float, until: float) -> Row:
    return Row(
        row.labels,
        tuple(each for each in row.samples if since < each.t <= until),
        tuple(each for each in row.histograms if since < each.t <= until),
    )


def _selector(query: Query) -> Selector:
    assert query.selector is not None
    return query.selector
