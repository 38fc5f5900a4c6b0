"""Fits of log weights by scores, for scores and log weights that are made up."""

import numpy as np
import pytest

from lattice_flows.measurement.score_fit import explained_share, score_fit

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
    return [explained_share(each, total) for each in explained]


def test_what_scores_make_up_is_explained_and_noise_is_not():
    """Half of the variance is a combination of scores, half is noise: the share is one half, within four standard errors."""
    (found,) = shares(MODES[:, 3] + NOISE, SCORES, [1e-7])
    known = 1 - NOISE.var() / (MODES[:, 3] + NOISE).var()
    assert abs(found.value - known) < 4 * found.error < 0.08


@pytest.mark.parametrize("spread", [0.0, 0.5])
@pytest.mark.parametrize("per_weight", [2, 4, 10])
def test_shares_are_those_of_infinitely_many_samples(per_weight, spread):
    """Of noise alone, and of as much noise as signal in every mode, within four standard errors of the mean of 60 data sets, whose
    spread is that of the reported errors, within 40 %. Where samples differ in their spread, so do both, scores and noise."""
    rng, n, dampings = np.random.default_rng(3), per_weight * WEIGHTS, (1e-7, 1e-4, 1e-3)
    signal = rng.choice([-1, 1], WEIGHTS) / np.sqrt(WEIGHTS)
    root = SCALES[:, np.newaxis] * ROTATION
    scale = np.linalg.norm(root, axis=0)
    values, vectors = np.linalg.eigh((root.T @ root) / np.outer(scale, scale))
    product = vectors.T @ (root.T @ signal / scale)
    left = np.array([np.sum((product / (values + damping)) ** 2 * damping**2 / values) for damping in dampings])
    found = np.empty((2, 60, len(dampings), 2))
    for one in range(60):
        width = np.exp(spread * rng.normal(size=(n, 1)) - spread**2)
        modes, noise = width * rng.normal(size=(n, WEIGHTS)), width[:, 0] * rng.normal(size=n)
        for log_weight, kept in zip((noise, modes @ signal + noise), found, strict=True):
            kept[one] = [number[:2] for number in shares(log_weight, modes @ root, dampings)]
    for known, numbers in zip((0 * left, (1 - left) / 2), found, strict=True):
        value, spread_of_value, error = numbers[..., 0].mean(axis=0), numbers[..., 0].std(axis=0), numbers[..., 1].mean(axis=0)
        assert np.all(abs(value - known) < 4 * spread_of_value / np.sqrt(60))
        assert np.all(abs(spread_of_value / error - 1) < 0.4)


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
