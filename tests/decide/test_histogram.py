from math import inf

from modelrollout.decide.histogram import choose_edges, exceedances, numeric_le, slower_than


def test_six_edges_are_spread_evenly_in_the_logarithm() -> None:
    shares: dict[float, float] = dict(enumerate((0.45, 0.30, 0.21, 0.14, 0.09, 0.06, 0.03, 0.011, 0.004)))
    assert [shares[edge] for edge in choose_edges(shares)] == [0.45, 0.21, 0.06, 0.03, 0.011, 0.004]


def test_edges_that_nearly_all_or_nearly_no_requests_exceed_are_not_tested() -> None:
    assert choose_edges({0.1: 0.9, 0.5: 0.1, 1.0: 0.0001}) == (0.5,)
    assert choose_edges({0.1: 0.9}) == ()


def test_a_bucket_is_found_by_its_number_not_by_its_spelling() -> None:
    assert numeric_le("1") == numeric_le("1.0") == numeric_le("1e0")
    assert numeric_le("+Inf") == inf
    assert numeric_le("NaN") is None
    assert numeric_le("soon") is None
    assert slower_than({1.0: 70, inf: 100}, 1) == (30, 100)


def test_an_edge_without_a_bucket_is_unknown_rather_than_zero() -> None:
    assert slower_than({1.0: 70, inf: 100}, 2.0) is None
    assert slower_than({1.0: 70}, 1.0) is None


def test_shares_come_from_the_histograms_own_total() -> None:
    assert exceedances({0.1: 50, 1.0: 90, inf: 100}) == {0.1: 0.5, 1.0: 0.1}
    assert exceedances({}) == {}
