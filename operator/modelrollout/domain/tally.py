"""Requests counted, of both arms over the same span. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Bad and total requests of both arms over the same span."""

    x_canary: float = 0.0
    n_canary: float = 0.0
    x_stable: float = 0.0
    n_stable: float = 0.0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            x_canary=self.x_canary + other.x_canary,
            n_canary=self.n_canary + other.n_canary,
            x_stable=self.x_stable + other.x_stable,
            n_stable=self.n_stable + other.n_stable,
        )

    def times(self, factor: float) -> "Tally":
        return Tally(
            x_canary=factor * self.x_canary,
            n_canary=factor * self.n_canary,
            x_stable=factor * self.x_stable,
            n_stable=factor * self.n_stable,
        )

    def is_sound(self) -> bool:
        """Whether no arm has more bad requests than requests."""
        return 0 <= self.x_canary <= self.n_canary and 0 <= self.x_stable <= self.n_stable


NO_REQUESTS = Tally()


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A closed span of time in which both arms were counted."""

    seq: int
    start: float
    end: float
    weight: int
    errors: Tally
