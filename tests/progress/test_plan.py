"""How long things take, before they have ended. Time stands still unless a test lets it pass."""

import math

import pytest

from lattice_flows.progress import Part, Progress, activity
from lattice_flows.progress.activity import Activity, duration


@pytest.fixture
def clock(monkeypatch):
    """Moves the time on by some seconds."""
    now = [100.0]
    monkeypatch.setattr(activity.time, "perf_counter", lambda: now[0])

    def passes(seconds):
        now[0] += seconds

    return passes


@pytest.fixture
def progress():
    return Progress(quiet=True)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (99, "99 s"), (100, "2 min"), (1440, "24 min"), (5940, "99 min"), (12000, "3 h 20 min")]
)
def test_durations_have_the_unit_that_suits_them(seconds, text):
    assert duration(seconds) == text


def test_what_is_left_follows_from_the_mean_time_of_a_step(clock):
    one = Activity("training", total=10, completed=4)
    assert one.left is None
    clock(6)
    one.completed = 6
    assert one.left == 12 and str(one) == "training: 6 of 10, 6 s, about 12 s left"
    assert Activity("training", total=10).left is None and Activity("evaluating").left is None


def test_a_time_limit_ends_it_earlier(clock):
    one = Activity("training", total=1000, at_most=30)
    clock(10)
    one.completed = 1
    assert one.left == 20
    clock(100)
    assert one.left == 0


def left(progress):
    bars = [one for one in progress._activities if one.total]
    return progress._plan.left(bars[0] if bars else None)


def test_the_parts_to_come_take_as_long_for_their_work_as_those_before(progress, clock):
    parts = [Part("stage 1 of 1", 10.0), Part("training", 40.0), Part("sampling", 20.0, at_most=15)]
    with progress.whole(parts):
        assert left(progress) is None
        with progress.part("stage 1 of 1"):
            with progress.working("compiling"):
                clock(8)
            assert left(progress) is None
            with progress.bar("training", 100) as bar:
                clock(5)
                bar.advance(50)
                # 5 s for the rest of the bar; 40 s and 15 s for the others, and for each what the first took besides.
                assert left(progress) == 5 + (40 + 8) + (15 + 8)
                with progress.meanwhile("evaluating"), progress.working("compiling for half the step"):
                    clock(2)
                assert left(progress) == 5 + (40 + 10) + (15 + 10)
                clock(5)
                bar.advance(50)
            assert left(progress) == (40 + 10) + (15 + 10)
        with progress.part("training"):
            assert left(progress) == 40 + (15 + 5)
            with progress.bar("training", 10, 5) as bar:  # a resumed one is half done
                clock(40)
                bar.advance(5)
            assert left(progress) == 15 + 5
        with progress.part("sampling"):
            assert left(progress) == 15
        assert left(progress) == 0


def test_parts_that_are_not_needed_are_skipped(progress, clock):
    with progress.whole([Part("stage 1 of 1", 1.0, "E1"), Part("training", 1.0, "E1"), Part("training", 1.0, "E2")]):
        with progress.part("training"):
            assert str(progress._plan) == "part 2 of 3 (E1, training)"
            with progress.part("training"):  # a stage trains too
                assert str(progress._plan) == "part 2 of 3 (E1, training)"
        assert str(progress._plan) == "part 3 of 3"
        with progress.part("unknown"):
            assert progress._plan.current is None


def test_what_counts_is_the_outermost_whole(progress):
    with progress.whole([Part("a", 1.0), Part("b", 1.0)]):
        with progress.whole([Part("c", 1.0)]):
            assert str(progress._plan) == "part 1 of 2"
        assert len(progress._plan) == 2
    assert progress._plan is None


def test_an_error_ends_part_and_whole(progress):
    with pytest.raises(ValueError, match="no"), progress.whole([Part("a", 1.0)]), progress.part("a"):
        raise ValueError("no")
    assert progress._plan is None and progress._activities == []


def test_without_a_limit_a_part_may_take_for_ever():
    assert Part("training", 1.0).at_most == math.inf
