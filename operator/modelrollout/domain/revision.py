"""Revisions: what is served and how, under a name that only the user's own input decides. Pure."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from modelrollout.domain.fragment import Fragment

NAME_LENGTH = 8
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # no vowels: no words; no 0, 1, 3: no look-alikes
NAME_PATTERN = f"[{_ALPHABET}]{{{NAME_LENGTH}}}"
"""A regular expression for every revision's name."""


def revision_name(model: Fragment, runtime: Fragment) -> str:
    """A short hash of `spec.model` and `spec.runtime` as stored.

    Neither re-ordered keys nor a new default of ours nor an upgrade makes another name.
    """
    digest = hashlib.sha256(f'{{"model":{model.text},"runtime":{runtime.text}}}'.encode()).digest()
    number = int.from_bytes(digest[:16], "big")
    letters: list[str] = []
    for _ in range(NAME_LENGTH):
        number, index = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[index])
    return "".join(letters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A revision frozen once: its rendered pod template, kept in a ControllerRevision.

    One that exists wins, whatever would be rendered today.
    """

    revision: str
    number: int
    """Order of creation, from 1: ControllerRevision.revision."""
    version: str
    preset: str
    template_version: int
    pod_template: Fragment
    ready_timeout: timedelta
    model: Fragment
    runtime: Fragment
