from tests.chart.rendering import documents, of_kind, only

ON = {"serviceMonitor": {"enabled": True, "interval": "30s", "labels": {"release": "prometheus"}}}


def test_there_is_neither_monitor_nor_service_unless_they_are_asked_for() -> None:
    assert documents("servicemonitor.yaml") == []


def test_the_monitor_finds_the_service_and_the_service_the_pods() -> None:
    found = documents("servicemonitor.yaml", ON)
    service, monitor = only(of_kind("Service", found)), only(of_kind("ServiceMonitor", found))
    pods = only(documents("deployment.yaml"))["spec"]["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["spec"]["selector"].items() <= pods.items()
    assert only(monitor["spec"]["endpoints"])["port"] == only(service["spec"]["ports"])["name"]


def test_every_replica_is_scraped_even_one_that_is_not_ready() -> None:
    service = only(of_kind("Service", documents("servicemonitor.yaml", ON)))
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True


def test_the_namespace_of_a_model_is_not_overwritten_by_the_operators_own() -> None:
    monitor = only(of_kind("ServiceMonitor", documents("servicemonitor.yaml", ON)))
    assert only(monitor["spec"]["endpoints"])["honorLabels"] is True


def test_interval_and_labels_are_the_users() -> None:
    monitor = only(of_kind("ServiceMonitor", documents("servicemonitor.yaml", ON)))
    assert only(monitor["spec"]["endpoints"])["interval"] == "30s"
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
