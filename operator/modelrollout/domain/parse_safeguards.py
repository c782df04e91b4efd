"""`guardrails`, `overdispersion` and `podSpread` of `spec.analysis` as values. Pure.

ValueError, not Wrong, for what the values themselves refuse: they name the path below `spec`.
"""

from typing import Any

from modelrollout.domain.parse_fields import Field
from modelrollout.domain.safeguards import Estimate, Guardrails, Overdispersion, PodSpread

_GUARDRAILS = {
    "errorRateMax": "error_rate_max",
    "alphaSlo": "alpha_slo",
    "slo": "slo",
    "burn": "burn",
    "maxBudgetShare": "max_budget_share",
}
_OVERDISPERSION = {"max": "most", "fallback": "fallback"}
_POD_SPREAD = {"z": "z", "maxFactor": "max_factor"}


def guardrails(field: Field) -> Guardrails:
    return Guardrails(**_numbers(field, _GUARDRAILS))


def overdispersion(field: Field) -> Overdispersion:
    given = _numbers(field, _OVERDISPERSION) | _mode(field)
    if field["lookback"].given:
        given["lookback"] = field["lookback"].time()
    return Overdispersion(**given)


def pod_spread(field: Field) -> PodSpread:
    given = _numbers(field, _POD_SPREAD) | _mode(field)
    if field["minPods"].given:
        given["min_pods"] = field["minPods"].whole(3, 1000)
    return PodSpread(**given)


def _numbers(field: Field, names: dict[str, str]) -> dict[str, Any]:
    return {attribute: field[name].number() for name, attribute in names.items() if field[name].given}


def _mode(field: Field) -> dict[str, Any]:
    return {"mode": Estimate(field["mode"].one_of(*Estimate))} if field["mode"].given else {}
