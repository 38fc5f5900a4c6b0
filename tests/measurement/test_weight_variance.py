"""Shares of the variance of log weights that are known: log w made of functions of the field and of noise."""

import json

import numpy as np
import pytest

from lattice_flows.measurement.series import time_series
from lattice_flows.measurement.weight_variance import GROUPS, WeightVariance, weight_variance

EXTENT = 12
PHI = np.random.default_rng(1).normal(size=(8000, EXTENT, EXTENT))
SERIES = time_series(PHI, time_axes=(1, 2))
MODES = np.abs(np.fft.fftn(PHI, axes=(1, 2))) ** 2
NOISE = np.random.default_rng(2).normal(size=len(PHI))
# A function of each group, of unit variance. The last has nothing in common with squares of the modes of white noise.
PIECES = {
    "zero_mode": SERIES["magnetization"] ** 4,
    "low_modes": MODES[:, 1, 0] + MODES[:, 0, 1],
    "short_distances": SERIES["phi_4"] - 6 * SERIES["phi_2"],
}
PIECES = {name: (piece - piece.mean()) / piece.std() for name, piece in PIECES.items()}


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_explains_its_own_functions_and_nothing_else(name):
    found = weight_variance(SERIES, 5 - 0.3 * PIECES[name], EXTENT)
    assert found.variance.value == pytest.approx(0.09) and found.proposals == len(PHI)
    assert found.alone[name].value == pytest.approx(1, abs=1e-9) and found.together.value == pytest.approx(1, abs=1e-9)
    for other in set(GROUPS) - {name}:
        assert abs(found.beyond_the_others[other].value) < 1e-9 and found.alone[other].value < 0.25


def test_shares_are_those_of_the_pieces_and_the_noise():
    """Independent pieces with variances of 1, 4 and 9 and noise of variance 2, within four standard errors."""
    log_weight = sum(scale * PIECES[name] for scale, name in zip((1, 2, 3), GROUPS, strict=True)) + np.sqrt(2) * NOISE
    found = weight_variance(SERIES, log_weight, EXTENT)
    known = 1 - 2 * NOISE.var() / log_weight.var()
    assert abs(found.together.value - known) < 4 * found.together.error < 0.02
    for variance, name in zip((1, 4, 9), GROUPS, strict=True):
        assert found.beyond_the_others[name].value == pytest.approx(variance / 16, abs=0.05)


def test_noise_is_not_reported_as_explained():
    """Of 1000 proposals, a fit of 13 coefficients would explain 1 % of itself; ten times within four standard errors of zero."""
    for seed in range(10):
        noise = np.random.default_rng(seed).normal(size=1000)
        found = weight_variance({name: values[:1000] for name, values in SERIES.items()}, noise, EXTENT)
        assert found.together.value < 4 * found.together.error < 0.3
        assert all(share.value < 4 * share.error for share in found.alone.values())


def test_tails():
    assert weight_variance(SERIES, NOISE, EXTENT).tails == pytest.approx(0.0846, abs=0.004)
    outlier = np.where(np.arange(len(PHI)) == 7, -1e3, NOISE)
    assert weight_variance(SERIES, outlier, EXTENT).tails > 0.9


def test_proposals_that_are_not_finite_are_left_out():
    broken = {name: values.copy() for name, values in SERIES.items()}
    broken["phi_4"][3] = np.inf
    log_weight = np.where(np.arange(len(PHI)) == 5, -np.inf, NOISE)
    found = weight_variance(broken, log_weight, EXTENT)
    assert found.proposals == len(PHI) - 2 and np.isfinite(found.together[:2]).all()


@pytest.mark.parametrize("log_weight", [NOISE[:999], np.full(2000, 41.3), np.full(2000, -np.inf)])
def test_nothing_is_said_about_few_or_equal_weights(log_weight):
    assert weight_variance({name: values[: len(log_weight)] for name, values in SERIES.items()}, log_weight, EXTENT) is None


@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (2, 4, 4)])
def test_small_and_odd_extents(shape):
    """|phi_k|^2 of the lowest momentum is among the functions."""
    phi = PHI.reshape(-1)[: 2000 * np.prod(shape)].reshape(2000, *shape)
    axes = tuple(axis for axis in range(1, len(shape) + 1) if shape[axis - 1] == max(shape))
    slices = [phi.mean(axis=tuple({*range(1, phi.ndim)} - {axis})) for axis in axes]
    lowest = sum(np.abs(np.fft.fft(one, axis=1)[:, 1]) ** 2 for one in slices)
    found = weight_variance(time_series(phi, axes), lowest, max(shape))
    assert found.alone["low_modes"].value == pytest.approx(1, abs=1e-9)


def test_json_and_text():
    found = weight_variance(SERIES, PIECES["low_modes"] + NOISE, EXTENT)
    content = json.loads(json.dumps(found.to_json()))
    assert content["alone"]["low_modes"] == pytest.approx(found.alone["low_modes"][:2], abs=1e-4)
    assert WeightVariance.from_json(content).to_json() == content
    assert f"low modes {100 * found.alone['low_modes'].value:.1f}" in str(found) and "hold 1" in str(found)
