"""Binned time series against the series themselves, and errors from bins against those from every configuration."""

import re

import numpy as np
import pytest
from exact import autoregressive

from lattice_flows.actions import ScalarPhi4
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.binning import Binning, smallest_bin
from lattice_flows.measurement.errors import estimate, primary
from lattice_flows.measurement.observables import Measurements

ACTION = ScalarPhi4(Lattice((4, 4)), m2=1.0, lam=0.5)


def binned(series, bin_size, parts=(0.3, 0.7)):
    """The same as one pass over a few parts of the series."""
    n, chains = series["magnetization"].shape
    binning = Binning(n, chains, bin_size)
    for part in np.split(np.arange(n), [int(share * n) for share in parts]):
        binning.add({name: values[part] for name, values in series.items()})
    return Measurements(ACTION, binning.finished())


@pytest.mark.parametrize(
    ("length", "chains", "size"), [(10, 1, 1), (2**18, 1, 1), (10**6, 1, 4), (10**7, 1, 39), (4000, 256, 4), (20, 10**6, 1)]
)
def test_the_smallest_bin_that_bounds_memory(length, chains, size):
    assert smallest_bin(length, chains) == size


def test_bins_are_means_and_all_configurations_count():
    rng = np.random.default_rng(1)
    series = {"magnetization": rng.normal(size=(103, 2)), "zero_momentum_green": rng.normal(size=(103, 2, 3))}
    series["magnetization"][10:15, 0] = 2.0
    found = binned(series, 10)
    assert found.shape == (10, 2) and found.configurations == 206 and found.longest_stay == 5
    whole = series["magnetization"][:100].reshape(10, 10, 2).mean(axis=1)
    shift = series["magnetization"].mean(axis=0) - whole.mean(axis=0)
    np.testing.assert_allclose(found.series("magnetization"), whole + shift, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.series("zero_momentum_green").mean(axis=0), series["zero_momentum_green"].mean(axis=0))
    positive = series["magnetization"] > 0
    assert found.sign_flips == np.count_nonzero(positive[1:] != positive[:-1])
    part = found.part(2, 7, 1)
    assert part.configurations == 50 and part.longest_stay == 1
    assert found.part(0, 10).sign_flips == found.sign_flips
    with pytest.raises(ValueError, match="206 configurations were announced, 100 were added"):
        binning = Binning(206, 1)
        binning.add({"magnetization": np.zeros((100, 1))})
        binning.finished()


@pytest.mark.parametrize("bin_size", [-1, 0, 11])
def test_a_bin_is_not_longer_than_a_chain(bin_size):
    phi = np.zeros((10, 2, 4, 4))
    message = f"bins of {bin_size} configurations do not fit a chain of 10: give a bin_size from 1 to 10"
    with pytest.raises(ValueError, match=message):
        Measurements.of(ACTION, phi, bin_size=bin_size)
    with pytest.raises(ValueError, match=message):
        Measurements.of_series(ACTION, {"magnetization": phi[..., 0, 0]}, bin_size=bin_size)


@pytest.mark.parametrize("shape", [(10,), (10, 1), (2, 10), (9, 2), (10, 2, 1), ()])
def test_weights_have_the_shape_of_the_series(shape):
    phi, message = np.zeros((10, 2, 4, 4)), re.escape(f"shape [n, chains] of the series, (10, 2), got {shape}")
    with pytest.raises(ValueError, match=message):
        Measurements.of(ACTION, phi, np.ones(shape))
    with pytest.raises(ValueError, match=message):
        Measurements.of_series(ACTION, {"magnetization": phi[..., 0, 0]}, np.ones(shape))


def non_linear(m):
    return m.mean("magnetization_2") - 0.5 * m.mean("magnetization") ** 2 / m.mean("magnetization_2")


@pytest.mark.parametrize("a", [0.0, 0.6, 0.9])
@pytest.mark.parametrize(("n", "chains"), [(200_000, 1), (4_000, 50)])
def test_errors_from_bins_are_those_of_all_configurations(a, n, chains):
    """Bins of 50: values are the same, errors and tau_int within three standard errors; tau_int against its exact value in four."""
    x = 0.3 + autoregressive(np.random.default_rng(2), n, chains, a)
    series = {"magnetization": x, "magnetization_2": x**2}
    every, few = binned(series, 1), binned(series, 50)
    for of in (lambda m: m.mean("magnetization"), non_linear):
        ours, expected = few.number(of(few)), every.number(of(every))
        unbinned = estimate(of(every))
        assert ours.value == pytest.approx(expected.value, rel=1e-9)
        assert expected[:3] == pytest.approx(unbinned[:3], rel=0.02)
        assert expected.tau_int_error == pytest.approx(unbinned.tau_int_error, rel=0.06)
        assert abs(ours.tau_int - expected.tau_int) < 3 * ours.tau_int_error < 0.5 * ours.tau_int
        assert abs(ours.error / expected.error - 1) < 1.5 * ours.tau_int_error / ours.tau_int
    first = few.number(few.mean("magnetization"))
    assert abs(first.tau_int - (0.5 + a / (1 - a))) < 4 * first.tau_int_error


def test_errors_from_bins_have_no_bias():
    """Twenty chains of 10^5 at tau_int = 2: the mean of (binned / exact error)^2 is 1 within four standard errors."""
    rng, n, a = np.random.default_rng(3), 100_000, 0.6
    shares = []
    for _ in range(20):
        found = binned({"magnetization": autoregressive(rng, n, 1, a)}, 40)
        shares.append(found.number(found.mean("magnetization")).tau_int / (0.5 + a / (1 - a)))
    assert abs(np.mean(shares) - 1) < 4 * np.std(shares) / np.sqrt(20) < 0.1


def test_a_weight_has_the_variance_of_its_ratio():
    """The error of a weighted mean from bins is that of the configurations; sum w^2 (x - mean)^2 gives it in closed form."""
    rng, n = np.random.default_rng(4), 100_000
    x, w = rng.normal(size=(n, 1)), rng.exponential(size=(n, 1))
    mean = np.average(x, weights=w)
    expected = np.sqrt(np.sum(w**2 * (x - mean) ** 2)) / np.sum(w)
    for size in (1, 20):
        binning = Binning(n, 1, size, weighted=True)
        binning.add({"magnetization": x}, w)
        measurements = Measurements(ACTION, binning.finished())
        found = measurements.number(measurements.mean("magnetization"))
        assert found.value == pytest.approx(mean, abs=1e-6)
        assert abs(found.error / expected - 1) < 0.05 and abs(found.tau_int - 0.5) < 4 * found.tau_int_error


def test_an_error_is_not_smaller_than_the_longest_stay_allows():
    """A chain that stays at one configuration for a fifth of its length, which the window of the Gamma method does not reach."""
    x = np.random.default_rng(5).normal(size=(1000, 1))
    x[300:500] = 0.01
    found = binned({"magnetization": x}, 1)
    number = found.number(found.mean("magnetization"))
    assert number.error == pytest.approx(np.std(x) * 200 / 1000) and number.error > 3 * estimate(found.mean("magnetization")).error
    assert number.tau_int == pytest.approx(1000 * number.error**2 / (2 * np.var(x)))


def test_flips_of_the_sign_do_not_end_a_stay():
    """A chain at one configuration for a tenth of its length, whose sign is drawn anew by every update."""
    x = np.random.default_rng(5).normal(size=(1000, 1))
    x[300:400] = 0.01 * np.random.default_rng(6).choice([-1, 1], size=(100, 1))
    assert binned({"magnetization": x}, 1).longest_stay == 100


def test_one_distinct_configuration_determines_nothing():
    phi = np.repeat(np.random.default_rng(6).normal(size=(1, 2, 4, 4)), 100, axis=0)
    stuck = Measurements.of(ACTION, phi)
    assert set(stuck.estimates().values()) == {None}
    with pytest.raises(ValueError, match="no chain holds more than one distinct configuration"):
        stuck.number(stuck.mean("phi_2"))
    phi[50:, 0] += 1
    moved = Measurements.of(ACTION, phi)
    assert moved.estimate("phi_squared").error > 0.3 * np.std(np.mean(phi**2, axis=(2, 3)))


def test_a_series_that_is_not_finite_spoils_only_what_depends_on_it():
    x = np.random.default_rng(7).normal(size=(500, 1))
    spoiled = {"magnetization": x, "phi_4": np.where(np.arange(500)[:, np.newaxis] == 9, np.inf, x)}
    found, alone = binned(spoiled, 1), binned({"magnetization": x}, 1)
    assert found.number(found.mean("magnetization")) == pytest.approx(alone.number(alone.mean("magnetization")))
    with pytest.raises(ValueError, match="the value is"):
        found.number(found.mean("phi_4"))
    halves = [each.part(0, 250) for each in (found, alone)]
    numbers = [half.number(half.mean("magnetization")) for half in halves]
    assert numbers[0] == pytest.approx(numbers[1])


def test_series_in_bins_are_those_of_pyerrors():
    x = np.random.default_rng(8).normal(size=(300, 3))
    found = binned({"magnetization": x}, 1)
    expected = estimate(primary(x.T, "test"))
    assert found.number(found.mean("magnetization"))[:2] == pytest.approx(expected[:2])


@pytest.mark.parametrize(("n", "chains", "a"), [(20, 256, 0.95), (60, 64, 0.98), (200, 16, 0.6)])
def test_short_parallel_chains_have_the_error_of_their_spread(n, chains, a):
    """The mean square of 400 pulls is 1 within four sigma of normal ones; fluctuations within chains alone give 9, 9 and 1."""
    rng, pulls = np.random.default_rng(9), []
    for _ in range(200):
        x = autoregressive(rng, n, chains, a)
        found = binned({"magnetization": x, "magnetization_2": x**2}, 1)
        for name, exact in (("magnetization", 0.0), ("magnetization_2", 1.0)):
            number = found.number(found.mean(name))
            pulls.append((number.value - exact) / number.error)
    assert abs(np.mean(np.square(pulls)) - 1) < 4 * np.sqrt(2 / 400)
