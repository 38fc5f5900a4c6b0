"""What a training says about its own numbers."""

import re

import pytest

from lattice_flows.training.evaluation import Evaluation
from lattice_flows.training.judgement import doubts, fall_of_ess
from lattice_flows.training.state import Summary

SUMMARY = Summary(40, 2.0, 1.0, 15, 0.6, 0.5, "all steps done")


def history(*pairs):
    return [Evaluation(step, -1.0, ess, 0.5, 3.0, 0.0, 0.1, 2.0, kl=kl) for step, (ess, kl) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({}, None),  # nothing is known
        ({"k_hat": 0.65, "k_hat_error": 0.08}, None),
        ({"k_hat": 0.67, "k_hat_error": 0.08}, r"k-hat of the weights is 0.67 with an error of 0.08, and their variance infinite"),
        ({"k_hat": 0.69, "k_hat_error": 0.2}, None),
        ({"k_hat": 0.71, "k_hat_error": 0.2}, r"k-hat of the weights is 0.71 with an error of 0.20"),
        ({"forward_ess": 0.3}, None),
        ({"forward_ess": 0.001}, r"the forward ESS, by samples of the target, is 0.001, .* own 0.5: .* misses a region"),
    ],
)
def test_doubts_are_explained(changes, doubt):
    found = doubts(SUMMARY._replace(**changes))
    assert len(found) == (doubt is not None)
    if doubt:
        (line,) = found
        assert re.search(doubt, line) and "training.steps" in line and "\n" not in line


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([(0.637, 0.3)], False),
        ([(0.637, 0.3), (0.003, 0.28)], True),  # as seen on 4^4
        ([(0.637, 0.3), (0.4, 0.28)], False),
        ([(0.637, 0.3), (0.003, 3.0)], False),  # the flow did become worse
        ([(0.02, 2.0), (0.005, 1.9)], False),  # no ESS to speak of
        ([(0.003, 0.3), (0.717, 0.2)], False),
        ([(0.637, 0.3), (0.003, 0.28), (0.7, 0.2), (0.1, 0.2)], False),  # said before
        ([(0.637, float("inf")), (0.003, 0.28)], False),  # a row of an earlier version
    ],
)
def test_a_fall_of_the_effective_sample_size_is_said_once(pairs, said):
    line = fall_of_ess(history(*pairs))
    assert (line is not None) == said
    if said:
        assert line.startswith("the ESS fell from 0.637 to 0.003") and "training.steps" in line
