"""Fits of log weights by scores, for scores and log weights that are made up."""

import numpy as np
import pytest

from lattice_flows.measurement.errors import share
from lattice_flows.measurement.score_fit import score_fit

RNG = np.random.default_rng(1)
N, WEIGHTS = 4000, 50
SCALES = np.logspace(0, -3, WEIGHTS)  # the last directions change log q a thousand times less than the first
ROTATION = np.linalg.qr(RNG.normal(size=(WEIGHTS, WEIGHTS)))[0]
MODES = RNG.normal(size=(N, WEIGHTS))
SCORES = ((MODES * SCALES) @ ROTATION).astype(np.float32)
NOISE = RNG.normal(size=N)
INFINITE = np.where(SCORES > 1, np.inf, SCORES)


def shares(log_weight, scores, dampings):
    total, explained = score_fit(log_weight, scores, dampings)
    return [share(each, total) for each in explained]


def test_what_scores_make_up_is_explained_and_noise_is_not():
    """Half of the variance is a combination of scores, half is noise: the share is one half, within four standard errors."""
    (found,) = shares(MODES[:, 3] + NOISE, SCORES, [1e-7])
    known = 1 - NOISE.var() / (MODES[:, 3] + NOISE).var()
    assert abs(found.value - known) < 4 * found.error < 0.08


def test_noise_alone_has_no_share():
    """Of 300 samples, a fit of 50 coefficients makes squares a quarter larger. Ten times, within four errors of zero."""
    rng = np.random.default_rng(2)
    for damping in (1e-9, 1e-4, 1e-2):
        found = [shares(rng.normal(size=300), SCORES[300 * part : 300 * (part + 1)], [damping])[0] for part in range(10)]
        values, errors = (np.array([getattr(each, name) for each in found]) for name in ("value", "error"))
        assert np.all(abs(values) < 4 * errors) and abs(values.mean()) < 4 * np.linalg.norm(errors) / 10 < 0.1


def test_directions_that_hardly_change_log_q_show_with_a_small_damping_alone():
    small, medium, large = shares(MODES[:, -1] + 0.1 * NOISE, SCORES, [1e-9, 1e-5, 1e-2])
    assert small.value > 0.95 and small.value > medium.value > large.value
    assert abs(large.value) < 0.01


def test_weights_that_change_nothing_do_not_matter():
    with_them = np.hstack([SCORES, np.zeros((N, 3), np.float32)])
    (found,), (same,) = shares(MODES[:, 0], with_them, [1e-5]), shares(MODES[:, 0], SCORES, [1e-5])
    assert found[:2] == pytest.approx(same[:2])


@pytest.mark.parametrize(
    ("log_weight", "scores"),
    [(NOISE[:7], SCORES[:7]), (NOISE, SCORES[1:]), (np.ones(N), SCORES), (NOISE, INFINITE)],
)
def test_what_cannot_be_fitted_is_refused(log_weight, scores):
    with pytest.raises(ValueError, match="a fit needs 8 log weights or more that differ, and finite scores of each"):
        score_fit(log_weight, scores, [1e-5])
