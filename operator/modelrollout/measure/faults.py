"""How an answer that is no data is told: which provider, what it did, what to do about it. Pure.

Nothing of a query's answer, of a request and of a credential is ever in a message.
"""

from modelrollout.domain.polls import FaultKind, ProviderFault

OF_ONE_THAT_ANSWERS = frozenset(
    {FaultKind.REFUSED, FaultKind.TOO_LARGE, FaultKind.WRONG_TYPE, FaultKind.PARTIAL, FaultKind.CLOCK}
)
"""Sparing it would help nobody: it is there, and another query may well be answered with data."""


class Unusable(Exception):  # noqa: N818 -- it carries a fault, it is none
    """An answer that is no data; `fault` says which kind."""

    def __init__(self, fault: ProviderFault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def fault(provider: str, kind: FaultKind, told: str, *, permanent: bool = False) -> ProviderFault:
    """``Prometheus `mimir` answered 503; look at its log.``"""
    return ProviderFault(kind=kind, message=f"Prometheus `{provider}` {told}.", permanent=permanent)


def unusable(provider: str, kind: FaultKind, told: str, *, permanent: bool = False) -> Unusable:
    return Unusable(fault(provider, kind, told, permanent=permanent))


def too_late(provider: str) -> ProviderFault:
    """However it was noticed, in one wording: a message that changes would be written to status each time."""
    return fault(provider, FaultKind.TIMEOUT, "does not answer in time; look at its load")
