"""The service-wide burn rule: all revisions together spend the error budget so fast that nothing should move up. Pure.

On only where `guardrails.slo` is given. It begins no rollout and lets none advance; it never takes a candidate back
and never keeps one from being taken back. It ends by itself: the service is asked again every minute.

An answer counts for as long as its shortest window is, so that one look that failed changes nothing. What has not been
answered for longer is not known, which holds nothing back: it is told. That none of the provider's queries is answered
stops a rollout by other rules, and a rule without a bound on its errors must not stop one for want of its own query.
"""

from dataclasses import replace
from datetime import timedelta

from modelrollout.decide.burn import Burning, service_burning
from modelrollout.domain.analysis import AnalysisSettings
from modelrollout.domain.conditions import Reason, Remark
from modelrollout.domain.evidence import Evidence
from modelrollout.domain.polls import ProviderFault
from modelrollout.domain.service_errors import ServiceErrors, ServiceWindows

AGAIN = timedelta(minutes=1)
KEPT = timedelta(minutes=5)
"""For which an answer counts: the shortest window's length."""
UNKNOWN = "ServiceBurnUnknown"
"""Flag: the rule is on, and nobody knows whether the service burns."""


def next_look(evidence: Evidence, settings: AnalysisSettings, now: float) -> timedelta | None:
    """How long until the service is to be looked at; None where there is no SLO to hold it against."""
    if settings.guardrails.slo is None:
        return None
    if evidence.service is None:
        return timedelta(0)
    return max(AGAIN - timedelta(seconds=now - evidence.service.asked_at), timedelta(0))


def looked(
    before: ServiceErrors | None, settings: AnalysisSettings, at: float, answer: ServiceWindows | ProviderFault
) -> ServiceErrors:
    """After one more look. A fault leaves the last answer as it was."""
    if isinstance(answer, ProviderFault):
        return replace(before or ServiceErrors(asked_at=at), asked_at=at, fault=answer)
    slo = settings.guardrails.slo
    since = None
    if slo is not None and service_burning(answer, slo) is not None:
        since = at if before is None or before.burning_since is None else before.burning_since
    return ServiceErrors(asked_at=at, seen_at=at, windows=answer, burning_since=since)


def burning(evidence: Evidence, settings: AnalysisSettings, now: float) -> Burning | None:
    """The rule that fires by an answer that still counts."""
    slo, service = settings.guardrails.slo, evidence.service
    if slo is None or service is None or service.windows is None or not _counts(service, now):
        return None
    return service_burning(service.windows, slo)


def unknown(evidence: Evidence, settings: AnalysisSettings, now: float) -> str:
    """Why it is not known whether the service burns; empty: it is, or was not asked for."""
    service = evidence.service
    if settings.guardrails.slo is None or service is None or _counts(service, now):
        return ""
    why = f" {service.fault.message}" if service.fault is not None else ""
    return f"The whole service is not held against guardrails.slo: its requests of the last 6 h are not known.{why}"


def how_fast(found: Burning, settings: AnalysisSettings) -> str:
    """In words, for within a sentence."""
    return (
        f"all revisions together spend the error budget of slo {settings.guardrails.slo:g} {_times(found.burn)} times "
        f"too fast over {_span(found.window)} and {_span(found.short)}, and the limit is {found.limit:g}"
    )


def obstacle(found: Burning, settings: AnalysisSettings) -> Remark:
    """Why the first step does not begin."""
    told = how_fast(found, settings)
    message = (
        f"{told[0].upper()}{told[1:]}. No user is sent to the candidate before that is over, which is looked at every "
        "minute. Mend the service; or give the promote command, or correct spec.analysis.guardrails.slo for the next "
        "rollout."
    )
    return Remark(reason=Reason.SERVICE_BURNING, message=message)


def _counts(service: ServiceErrors, now: float) -> bool:
    return service.seen_at is not None and now - service.seen_at <= KEPT.total_seconds()


def _times(burn: float) -> str:
    """Roughly: a figure that changes with each look would be written with each."""
    return f"{float(f'{burn:.1g}'):g}" if burn >= 10 else f"{burn:.1g}"


def _span(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h" if hours else f"{minutes} min"
