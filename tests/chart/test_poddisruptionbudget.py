from tests.chart.rendering import documents, only


def test_a_drain_takes_one_replica_at_a_time_and_never_waits_for_a_broken_one() -> None:
    spec = only(documents("poddisruptionbudget.yaml"))["spec"]
    assert spec["maxUnavailable"] == 1
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_it_selects_the_operators_pods() -> None:
    selector = only(documents("poddisruptionbudget.yaml"))["spec"]["selector"]["matchLabels"]
    labels = only(documents("deployment.yaml"))["spec"]["template"]["metadata"]["labels"]
    assert selector.items() <= labels.items()


def test_it_can_be_left_out() -> None:
    assert documents("poddisruptionbudget.yaml", {"podDisruptionBudget": {"enabled": False}}) == []
