"""What a build product is named after, and how it gets into the cache."""

from pathlib import Path

import pytest

from devcluster import build, cache


def inputs(folder: Path) -> list[tuple[str, Path]]:
    return [(path.name, path) for path in folder.iterdir()]


def test_the_same_inputs_have_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module a")
    assert cache.digest(inputs(tmp_path), flags=["-s"]) == cache.digest(inputs(tmp_path), flags=["-s"])


@pytest.mark.parametrize("change", ["content", "name", "flag", "mode"])
def test_any_change_of_an_input_gives_another_name(tmp_path: Path, change: str) -> None:
    path = tmp_path / "go.mod"
    path.write_text("module a")
    before = cache.digest(inputs(tmp_path), flags=["-s"])
    if change == "content":
        path.write_text("module b")
    if change == "name":
        path.rename(tmp_path / "go.sum")
    if change == "mode":
        path.chmod(0o755)
    assert cache.digest(inputs(tmp_path), flags=["-w" if change == "flag" else "-s"]) != before


def test_the_order_in_which_files_are_found_does_not_matter(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    found = inputs(tmp_path)
    assert cache.digest(found) == cache.digest(reversed(found))


def test_a_product_is_made_once(tmp_path: Path) -> None:
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "program").write_text("done")

    for _ in range(2):
        assert (cache.publish(tmp_path / "product", make) / "program").read_text() == "done"
    assert len(made) == 1


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        (folder / "half").write_text("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.publish(tmp_path / "product", make)
    assert list(tmp_path.iterdir()) == []


def test_the_quicker_of_two_builds_wins(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        (folder / "program").write_text("slow")
        (tmp_path / "product").mkdir()
        (tmp_path / "product" / "program").write_text("quick")

    assert (cache.publish(tmp_path / "product", make) / "program").read_text() == "quick"
    assert [path.name for path in tmp_path.iterdir()] == ["product"]


def test_only_the_last_used_products_are_kept(tmp_path: Path) -> None:
    for number in range(cache.KEPT + 2):
        product = tmp_path / f"operator-{number}"
        product.mkdir()
        cache.forget_old(product, family="operator-*")
    assert len(list(tmp_path.iterdir())) == cache.KEPT
    assert product.exists()


def test_the_kubernetes_version_is_told_to_the_linker_as_the_module_requires_it() -> None:
    required = (build.KUBERNETES.module / "go.mod").read_text()
    assert f"k8s.io/kubernetes v{build.KUBERNETES_VERSION}\n" in required
    assert f"gitVersion=v{build.KUBERNETES_VERSION} " in build.KUBERNETES.link_flags


def test_the_prometheus_version_is_the_modules() -> None:
    major, minor, patch = build.PROMETHEUS_VERSION.split(".")
    required = (build.PROMETHEUS.module / "go.mod").read_text()
    assert f"github.com/prometheus/prometheus v0.{major}{int(minor):02}.{patch} " in required


def test_the_toxiproxy_version_is_the_modules() -> None:
    required = (build.TOXIPROXY.module / "go.mod").read_text()
    assert f"github.com/Shopify/toxiproxy/v2 v{build.TOXIPROXY_VERSION} " in required
