"""The evidence's course, as it is told."""

from benchmarks.arena import Ending
from benchmarks.healthy_long import Course, Point, told

POINTS = (
    Point(minute=0.5, log_evidence=-1.0, requests=100),
    Point(minute=1.6, log_evidence=0.7, requests=200),
    Point(minute=2.7, log_evidence=-0.5, requests=300),
)


def a_course(ending: Ending | None = None, points: tuple[Point, ...] = POINTS) -> Course:
    return Course(rate=20, ending=ending, points=points, requests=310, failed=2, elsewhere=0, message="Testing.")


def test_the_highest_evidence_is_told_with_what_was_compared() -> None:
    assert a_course().row() == ("20", "still tested", "310", "2", "300", "2", "0.70")


def test_at_a_minute_the_last_evidence_known_is_told() -> None:
    assert [a_course().at(minute) for minute in (0.1, 1, 2, 9)] == ["–", "0.37", "2", "0.61"]


def test_a_healthy_candidate_that_was_rolled_back_misses_the_target() -> None:
    assert told([a_course()], 3).met
    assert not told([a_course(), a_course(Ending.ROLLED_BACK)], 3).met


def test_without_a_checkpoint_nothing_is_made_up() -> None:
    course = a_course(points=())
    assert (course.at(1), course.row()[4]) == ("–", "0")


def test_the_course_has_a_row_for_each_mark() -> None:
    assert [row[0] for row in told([a_course()], 30).tables[1].rows] == [str(3 * each) for each in range(1, 11)]
    assert [row[0] for row in told([a_course()], 2).tables[1].rows] == ["1", "2"]
