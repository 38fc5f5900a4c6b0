"""Shares of the variance of log weights that are known: log w made of functions of the field and of noise."""

import json

import numpy as np
import pytest

from lattice_flows.lattice import Lattice
from lattice_flows.measurement.series import smooth_powers, spectra, time_series
from lattice_flows.measurement.weight_variance import GROUPS, WeightVariance, weight_variance

EXTENT = 12
LATTICE = Lattice((EXTENT, EXTENT))
NOISE = np.random.default_rng(2).normal(size=8000)


def series_of(phi, lattice, time_axes=(1, 2)):
    return time_series(phi, time_axes) | {"spectra": spectra(phi, lattice), "smooth_powers": smooth_powers(phi, lattice)}


@pytest.fixture(scope="module")
def phi():
    return np.random.default_rng(1).normal(size=(len(NOISE), EXTENT, EXTENT))


@pytest.fixture(scope="module")
def series(phi):
    return series_of(phi, LATTICE)


@pytest.fixture(scope="module")
def pieces(phi, series):
    """A function of each group, of unit variance.

    Of white noise they have nothing in common with the other groups: the first four are orthogonal to all squares of modes
    (polynomials of Hermite and Laguerre), and in the last two classes of large momenta of the same size and cos k_1 + cos k_2, so
    that neither phi^2 nor neighbours know it.
    """
    transformed = np.fft.fftn(phi, axes=(1, 2))
    modes = np.abs(transformed) ** 2
    squared, lowest = series["magnetization_2"], modes[:, 1, 0] + modes[:, 0, 1]
    smooth = np.fft.ifftn(np.exp(-(1.5**2) * LATTICE.momentum_squared() / 2) * transformed, axes=(1, 2)).real
    made = {
        "zero_mode": squared**2 - 6 * squared / EXTENT**2,
        "low_modes": lowest**2 - 3 * lowest.mean() * lowest,
        "smooth_fields": np.mean(smooth**6, axis=(1, 2)) - 7.5 * np.mean(smooth**2) * np.mean(smooth**4, axis=(1, 2)),
        "short_distances": series["phi_4"] - 6 * series["phi_2"],
        "spectra": sum(modes[:, 4, y] + modes[:, y, 4] - modes[:, 5, y // 2] - modes[:, y // 2, 5] for y in (2, -2)),
    }
    return {name: (piece - piece.mean()) / piece.std() for name, piece in made.items()}


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_explains_its_own_functions_and_nothing_else(name, series, pieces):
    found = weight_variance(series, 5 - 0.3 * pieces[name], EXTENT)
    assert found.variance.value == pytest.approx(0.09) and found.proposals == len(NOISE)
    assert found.alone[name].value == pytest.approx(1, abs=1e-9) and found.together.value == pytest.approx(1, abs=1e-9)
    for other in set(GROUPS) - {name}:
        assert abs(found.beyond_the_others[other].value) < 1e-9
        # Averages over a quarter of so small a lattice are much like M.
        assert found.alone[other].value < 0.25 or {name, other} == {"zero_mode", "smooth_fields"}


def test_shares_are_those_of_the_pieces_and_the_noise(series, pieces):
    """Independent pieces with variances of 1, 4, 9, 16 and 25 and noise of variance 2, within four standard errors."""
    log_weight = sum(scale * pieces[name] for scale, name in zip((1, 2, 3, 4, 5), GROUPS, strict=True)) + np.sqrt(2) * NOISE
    found = weight_variance(series, log_weight, EXTENT)
    known = 1 - 2 * NOISE.var() / log_weight.var()
    assert abs(found.together.value - known) < 4 * found.together.error < 0.02
    for variance, name in zip((1, 4, 9, 16, 25), GROUPS, strict=True):
        assert found.beyond_the_others[name].value == pytest.approx(variance / log_weight.var(), abs=0.05)


def test_noise_is_not_reported_as_explained(series):
    """Of 1000 proposals, a fit of 34 coefficients explains 7 % of the half that it is made for, and makes the other half 8 % worse:
    neither is reported. Ten times, and together, within four standard errors of zero."""
    few, rng = {name: values[:1000] for name, values in series.items()}, np.random.default_rng(6)
    found = [weight_variance(few, rng.normal(size=1000), EXTENT) for _ in range(10)]
    for shares in ([each.together for each in found], *([each.alone[name] for each in found] for name in GROUPS)):
        value, error, _, _ = np.array(shares).T.astype(float)
        assert np.all(abs(value) < 4 * error) and np.max(error) < 0.1
        assert abs(np.mean(value)) < 4 * np.linalg.norm(error) / 10 < 0.04


def test_few_proposals_on_a_large_lattice():
    """Neighbouring classes of momenta are summed: a spectrum that is smooth in the momentum is still found among 2000 proposals."""
    lattice = Lattice((32, 32))
    phi = np.random.default_rng(3).normal(size=(2000, 32, 32))
    series = series_of(phi, lattice)
    log_weight = series["spectra"] @ ((lattice.momentum_classes()[0] - 4) ** 2 - 4)  # nothing of phi^2 and of neighbours
    log_weight += log_weight.std() * np.random.default_rng(4).normal(size=2000)
    found = weight_variance(series, log_weight, 32)
    assert series["spectra"].shape[1] == 153 and abs(found.alone["spectra"].value - 0.5) < 4 * found.alone["spectra"].error < 0.15
    assert all(found.alone[name].value < 0.05 for name in ("zero_mode", "low_modes", "short_distances"))


@pytest.mark.parametrize("shape", [(6, 6), (5, 3), (4, 2, 4), (16, 16)])
def test_spectra_are_sums_over_classes(shape):
    lattice, phi = Lattice(shape), np.random.default_rng(5).normal(size=(3, *shape))
    modes = np.abs(np.fft.fftn(phi, axes=lattice.axes).reshape(3, -1)) ** 2 / lattice.volume
    momenta, members = lattice.momentum_classes()
    expected = np.stack([modes[:, members == number].sum(axis=1) for number in range(len(momenta))], axis=1)
    np.testing.assert_allclose(spectra(phi.astype(np.float32), lattice), expected, rtol=1e-5)
    np.testing.assert_allclose(spectra(phi, lattice).sum(axis=1), np.sum(phi**2, axis=lattice.axes))


def test_tails(series):
    assert weight_variance(series, NOISE, EXTENT).tails == pytest.approx(0.0846, abs=0.004)
    outlier = np.where(np.arange(len(NOISE)) == 7, -1e3, NOISE)
    assert weight_variance(series, outlier, EXTENT).tails > 0.9


def test_shares_that_are_not_determined_are_none(series):
    """A few fields far out, which the other half of the proposals does not know, decide the fit."""
    far = {name: values.copy() for name, values in series.items()}
    far["magnetization_2"][7] *= 1e4
    found = weight_variance(far, NOISE, EXTENT)
    assert found.alone["zero_mode"] is None and found.together is None and found.alone["spectra"] is not None
    assert "zero mode not determined, low modes" in str(found) and "together not determined;" in str(found)
    content = json.loads(json.dumps(found.to_json()))
    assert content["alone"]["zero_mode"] is None and WeightVariance.from_json(content).to_json() == content


def test_proposals_that_are_not_finite_are_left_out(series):
    broken = {name: values.copy() for name, values in series.items()}
    broken["phi_4"][3] = np.inf
    log_weight = np.where(np.arange(len(NOISE)) == 5, -np.inf, NOISE)
    found = weight_variance(broken, log_weight, EXTENT)
    assert found.proposals == len(NOISE) - 2 and np.isfinite(found.together[:2]).all()


@pytest.mark.parametrize("log_weight", [NOISE[:999], np.full(2000, 41.3), np.full(2000, -np.inf)])
def test_nothing_is_said_about_few_or_equal_weights(log_weight, series):
    assert weight_variance({name: values[: len(log_weight)] for name, values in series.items()}, log_weight, EXTENT) is None


@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (2, 4, 4)])
def test_small_and_odd_extents(shape, phi):
    """|phi_k|^2 of the lowest momentum is among the functions."""
    phi = phi.reshape(-1)[: 2000 * np.prod(shape)].reshape(2000, *shape)
    axes = tuple(axis for axis in range(1, len(shape) + 1) if shape[axis - 1] == max(shape))
    slices = [phi.mean(axis=tuple({*range(1, phi.ndim)} - {axis})) for axis in axes]
    lowest = sum(np.abs(np.fft.fft(one, axis=1)[:, 1]) ** 2 for one in slices)
    found = weight_variance(series_of(phi, Lattice(shape), axes), lowest, max(shape))
    assert found.alone["low_modes"].value == pytest.approx(1, abs=1e-9)
    assert found.alone["spectra"].value == pytest.approx(1, abs=1e-9)


def test_json_and_text(series, pieces):
    found = weight_variance(series, pieces["low_modes"] + NOISE, EXTENT)
    earlier = json.loads(json.dumps(found.to_json()))
    for shares in (earlier["alone"], earlier["beyond_the_others"]):
        del shares["spectra"], shares["smooth_fields"]  # which results did not always have
    assert WeightVariance.from_json(earlier).to_json() == earlier
    assert "spectra" in str(found) and "spectra" not in str(WeightVariance.from_json(earlier))
    content = json.loads(json.dumps(found.to_json()))
    assert content["alone"]["low_modes"] == pytest.approx(found.alone["low_modes"][:2], abs=1e-4)
    assert WeightVariance.from_json(content).to_json() == content
    assert f"low modes {100 * found.alone['low_modes'].value:.1f}" in str(found) and "hold 3" in str(found)
