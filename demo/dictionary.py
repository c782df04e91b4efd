"""The words that version 3 compares with: so many that it is slow on a quick machine too."""

import time
from collections.abc import Callable, Sequence
from math import ceil

from demo.served.spelling import corrected

SECONDS = 0.06
"""Of computing for one review: ten times what version 2 needs to answer, and above the edges of latency."""
PREFIXES = ("anti", "counter", "inter", "non-", "over", "quasi-", "semi-", "super", "trans", "ultra", "under")
"""So long that no form is one edit away from another word: a longer dictionary corrects nothing else."""
REPETITIONS = 3


def words_of(texts: Sequence[str]) -> list[str]:
    """Every word that the texts are made of."""
    return sorted({word.strip(".,").lower() for text in texts for word in text.split()})


def dictionary(
    texts: Sequence[str], *, seconds: float = SECONDS, clock: Callable[[], float] = time.process_time
) -> list[str]:
    """The texts' words, and as many of their forms as make correcting one text take `seconds` here."""
    words = words_of(texts)
    forms = [prefix + word for prefix in PREFIXES for word in words]
    each = _seconds_for(texts[:10], forms[: len(words)], clock) / len(words)
    return [*words, *forms][: max(len(words), ceil(seconds / each))]


def _seconds_for(texts: Sequence[str], known: Sequence[str], clock: Callable[[], float]) -> float:
    """What correcting one of them takes: the quickest of some attempts, which no other process disturbed."""
    attempts = []
    for _ in range(REPETITIONS):
        start = clock()
        for text in texts:
            for word in text.split():
                corrected(word, known)
        attempts.append((clock() - start) / len(texts))
    return min(attempts)
