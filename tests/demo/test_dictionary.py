"""Version 3's dictionary: longer on a quicker machine, so that version 3 is slow on each."""

from collections.abc import Callable
from itertools import count

import pytest

from demo.dictionary import dictionary, words_of
from demo.reviews import reviews
from demo.served.spelling import corrected

TEXTS = [review.text for review in reviews(50, seed=1)]
WORDS = words_of(TEXTS)


def a_machine_that_takes(seconds: float) -> Callable[[], float]:
    """For ten texts and as many words as theirs."""
    ticks = count()
    return lambda: next(ticks) * seconds * 10


@pytest.mark.parametrize("seconds", [0.005, 0.01, 0.02])
def test_a_machine_twice_as_quick_gets_twice_as_many_words(seconds: float) -> None:
    known = dictionary(TEXTS, seconds=0.06, clock=a_machine_that_takes(seconds))
    assert len(known) == pytest.approx(len(WORDS) * min(12.0, 0.06 / seconds), abs=1)


def test_a_slow_machine_still_gets_every_word() -> None:
    assert dictionary(TEXTS, seconds=0.06, clock=a_machine_that_takes(1.0)) == WORDS


def test_more_words_correct_nothing_else() -> None:
    long = dictionary(TEXTS, clock=a_machine_that_takes(0.005))
    typed = [word[:1] + word[2:] for word in WORDS if len(word) > 4]
    assert typed
    assert [corrected(word, long) for word in typed] == [corrected(word, WORDS) for word in typed]
