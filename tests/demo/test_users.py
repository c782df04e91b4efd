"""What users saw, counted."""

from demo.users import Experience, Record, between, per_version, read, table


def a_request(
    *, due: float = 0.0, latency: float = 0.01, status: int = 200, version: str = "1", right: bool = True
) -> Record:
    return Record(due=due, latency=latency, status=status, version=version, right=right)


def test_a_record_survives_its_line() -> None:
    record = a_request(due=1700000000.125, latency=0.0042, status=500, version="", right=False)
    assert Record.of(record.line()) == record


def test_a_line_still_in_the_writing_is_left_for_later() -> None:
    whole = a_request().line()
    assert read([whole, whole[:-3]]) == [a_request()]


def test_everything_but_200_is_a_failure_also_no_answer_at_all() -> None:
    seen = Experience.of([a_request(), a_request(status=500), a_request(status=0), a_request(status=404)])
    assert (seen.requests, seen.failures) == (4, 3)


def test_the_slowest_one_per_cent_is_slower_than_the_figure() -> None:
    latencies = [i / 1000 for i in range(1, 201)]
    assert Experience.of([a_request(latency=latency) for latency in latencies]).slowest == 0.198


def test_one_request_is_its_own_slowest() -> None:
    assert Experience.of([a_request(latency=0.5)]).slowest == 0.5


def test_nobody_asked_is_no_error() -> None:
    assert Experience.of([]) == Experience(requests=0, failures=0, slowest=0.0, right=0)
    assert len(table([])) == 2


def test_failures_whose_version_is_unknown_come_last() -> None:
    records = [a_request(version="", status=500), a_request(version="10"), a_request(version="2")]
    assert list(per_version(records)) == ["2", "10", ""]
    assert table(records)[-2].split()[:5] == ["not", "known", "which", "1", "1"]


def test_a_version_is_not_called_free_of_failures_while_some_have_no_version() -> None:
    records = [a_request(version="4"), a_request(version="", status=500)]
    assert table(records)[2].split()[:5] == ["from", "version", "4", "1", "?"]
    assert table(records[:1])[2].split()[:5] == ["from", "version", "4", "1", "0"]


def test_failures_are_told_by_their_status() -> None:
    records = [a_request(status=500), a_request(status=503), a_request(status=503), a_request(status=0), a_request()]
    assert table(records)[-1].startswith("failures: 1 × no answer, 1 × 500, 2 × 503; ")
    assert "failures" not in table([a_request()])[-1]


def test_right_answers_are_counted_among_the_answered() -> None:
    records = [a_request(), a_request(right=False), a_request(status=500, version="", right=False)]
    assert table(records)[1].split() == ["in", "all", "3", "1", "10", "ms", "50", "%"]


def test_a_chapter_owns_the_requests_due_in_its_time() -> None:
    records = [a_request(due=due) for due in (1.0, 2.0, 3.0)]
    assert between(records, 2.0, 3.0) == [records[1]]
