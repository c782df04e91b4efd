"""Version 3's idea: correct what people mistype, by comparing each word with every word it knows. Pure.

Right, and ten times slower: an edit distance in plain Python for each pair, also for words that are spelt right.
`words.txt`, the words it knows, lies beside it in the model's folder.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path


@cache
def known_words() -> tuple[str, ...]:
    return tuple(Path(__file__).with_name("words.txt").read_text().split())


def clean(text: str) -> str:
    return " ".join(corrected(word, known_words()) for word in text.split())


def corrected(word: str, known: Sequence[str]) -> str:
    plain = word.strip(".,").lower()
    nearest = min(known, key=lambda other: edits(plain, other))
    return nearest if edits(plain, nearest) == 1 else word


def edits(here: str, there: str) -> int:
    """Levenshtein's distance: `edits("handel", "handle") == 2`."""
    row = list(range(len(there) + 1))
    for done, letter in enumerate(here, start=1):
        above, row = row, [done]
        for at, other in enumerate(there):
            row.append(min(above[at + 1] + 1, row[at] + 1, above[at] + (letter != other)))
    return row[-1]
