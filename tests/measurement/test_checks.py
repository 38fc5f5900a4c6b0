"""Verdicts on numbers, and how they are told."""

import pytest

from lattice_flows.measurement.checks import VERDICTS, checks_table, explained, judged, worst


def check(value, doubtful=3, bad=4, name="halves"):
    return judged(name, value, doubtful, bad, "difference of the halves", "Draw more")


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (2.9, "good"),
        (3.0, "good"),
        (3.1, "doubtful"),
        (4.1, "bad"),
        (None, "unknown"),
        (float("nan"), "bad"),
        (float("inf"), "bad"),
    ],
)
def test_large_numbers_are_bad(value, verdict):
    assert check(value).verdict == verdict


@pytest.mark.parametrize(("value", "verdict"), [(11, "good"), (10, "good"), (9, "doubtful"), (1, "doubtful"), (0, "bad")])
def test_small_numbers_are_bad_where_the_limits_say_so(value, verdict):
    assert check(value, 10, 1).verdict == verdict


def test_what_is_not_finite_is_not_a_number():
    assert check(float("nan")).value is None and check(2).value == 2.0


def test_the_explanation_names_what_is_not_good():
    good = [check(1.0), check(None, name="k_hat")]
    assert explained([]) == "Can these errors be trusted? Nothing was checked."
    assert explained(good[:1]) == "Can these errors be trusted? Yes: 1 checks good."
    assert explained(good) == "Can these errors be trusted? As far as is known: 1 checks good, 1 unknown (k_hat)."
    doubtful = explained([*good, check(3.5, name="sign_flips")])
    assert doubtful.splitlines()[0] == "Can these errors be trusted? With care: 1 checks good, 1 doubtful, 1 unknown (k_hat)."
    text = explained([check(3.5, name="sign_flips"), *good, check(float("nan"), name="k")])
    assert text.splitlines() == [
        "Can these errors be trusted? No: 1 checks good, 1 bad, 1 doubtful, 1 unknown (k_hat).",
        "- bad: k not finite (above 3 is doubtful, above 4 bad): difference of the halves. Draw more.",
        "- doubtful: sign_flips 3.5 (above 3 is doubtful, above 4 bad): difference of the halves. Draw more.",
    ]


def test_what_is_unknown_is_worse_than_what_is_good():
    checks = [check(number) for number in (4.1, 3.1, None, 1.0)]
    assert tuple(worst(checks[start:]) for start in range(4)) == VERDICTS and worst([]) is None
    assert worst(reversed(checks)) == "bad"


def test_the_table_has_all_checks():
    lines = checks_table([check(1.0), check(0, 10, 1, name="sign_flips")], compact=True).splitlines()
    assert lines[2:] == [
        "| halves | 1 | above 3 | above 4 | good | difference of the halves |",
        "| sign_flips | 0 | below 10 | below 1 | bad | difference of the halves |",
    ]


def test_limits_that_were_not_finite_when_a_result_was_stored():
    lines = checks_table([check(float("nan"), name="k_hat")._replace(doubtful=None, bad=None)]).splitlines()
    assert [cell.strip() for cell in lines[-1].split("|")][2:5] == ["not finite", "unknown", "unknown"]
