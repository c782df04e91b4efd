"""Writes product reviews: the corpus that the demo's models learn from, and what its users send. Pure.

Opinions are put in many words, some of them rare, some turned round ("far from sturdy"), and most reviews
praise one thing and blame another; so a model that has read few reviews errs, and one that has read many does not.
"""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GOOD = _words(
    "good great nice solid lovely excellent reliable sturdy comfortable quick bright handy quiet pleasant superb "
    "elegant robust accurate generous responsive delightful flawless smooth crisp durable brilliant impressive tidy "
    "snug clever sharp faithful sublime gorgeous dependable practical splendid effortless spotless refined"
)
BAD = _words(
    "bad poor awful flimsy noisy slow dim useless terrible unreliable uncomfortable cheap clumsy sticky dull fragile "
    "wobbly leaky scratchy disappointing crooked faulty brittle mushy sluggish shoddy grim tedious blurry rattling "
    "smelly lumpy dreadful tinny creaky mediocre stale warped feeble murky"
)
ASPECTS = _words("battery screen handle zip strap lid motor sound colour fabric keyboard lens lamp hinge pedal speaker")
DEGREES = ("", "", "really ", "rather ", "so ", "surprisingly ", "truly ")
TURNED = ("not ", "far from ", "anything but ", "hardly ")
PEOPLE = _words("mother father neighbour colleague sister brother aunt uncle teacher boss")
PLAIN_PLACES = _words("Lisbon Oslo Porto Leeds Gdynia Turin Ghent Utrecht Cork Vienna")
ACCENTED_PLACES = _words("Malmö Zürich Kraków Besançon Łódź Århus Coruña Győr São-Paulo Şişli")
OPENINGS = (
    "Bought it for my {person} in {place}.",
    "My {person} from {place} has one too.",
    "Sent to my {person} in {place}.",
)
TWISTS = 0.12
"""Share of the opinions in a review that speak against its verdict."""


class Review(NamedTuple):
    text: str
    positive: bool


def reviews(count: int, *, seed: int) -> list[Review]:
    """The same reviews for the same seed. Half of them, at random, have a letter that is not ASCII.

    At random, because a gateway that sends every tenth request to the candidate would else send it one kind only.
    """
    dice = Random(seed)
    return [_review(dice, accented=dice.random() < 0.5) for _ in range(count)]


def _review(dice: Random, *, accented: bool) -> Review:
    positive = dice.random() < 0.5
    opinions = [_opinion(dice, positive=positive != (dice.random() < TWISTS)) for _ in range(dice.randint(2, 5))]
    place = dice.choice(ACCENTED_PLACES if accented else PLAIN_PLACES)
    opening = dice.choice(OPENINGS).format(person=dice.choice(PEOPLE), place=place)
    return Review(text=f"{opening} {_joined(opinions)}", positive=positive)


def _opinion(dice: Random, *, positive: bool) -> str:
    if dice.random() < 0.2:
        word, before = _rather_frequent(dice, BAD if positive else GOOD), dice.choice(TURNED)
    else:
        word, before = _rather_frequent(dice, GOOD if positive else BAD), dice.choice(DEGREES)
    return f"The {dice.choice(ASPECTS)} is {before}{word}"


def _rather_frequent(dice: Random, words: Sequence[str]) -> str:
    """Words early in the list come up more often, the last ones seldom: language has a long tail."""
    return words[int(len(words) * dice.random() ** 1.6)]


def _joined(opinions: list[str]) -> str:
    return ". ".join(opinions) + "."
