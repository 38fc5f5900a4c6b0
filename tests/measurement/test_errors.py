"""Errors and autocorrelations against processes whose answers are known."""

import numpy as np
import pytest
from exact import autoregressive

from lattice_flows.measurement.agreement import correlation
from lattice_flows.measurement.errors import (
    Estimate,
    analysed,
    estimate,
    estimate_from_bins,
    format_estimate,
    power_law,
    primary,
    pull,
    with_systematic_error,
)


@pytest.mark.parametrize("a", [0.0, 0.5, 0.8])
def test_gamma_method_on_an_autoregressive_process(a):
    chains, n = 50, 2000
    found = estimate(primary(autoregressive(np.random.default_rng(1), n, chains, a).T, "test"))
    tau_int = 0.5 + a / (1 - a)
    error = np.sqrt(2 * tau_int / (chains * n))
    assert abs(found.tau_int - tau_int) < 4 * found.tau_int_error
    assert abs(found.error / error - 1) < 0.15
    assert abs(found.value) < 4 * error


def test_errors_of_a_few_short_chains_are_not_too_small():
    """Of 16 chains of 20 autocorrelation times each; without the correction for their means, pulls have a width of 1.27(4)."""
    rng, pulls = np.random.default_rng(4), []
    for _ in range(400):
        series = autoregressive(rng, 60, 16, 0.7).T
        found = estimate_from_bins(primary(series, "test"), 1, configurations=series.size, variance=float(series.var()))
        pulls.append(found.value / found.error)
    assert 0.9 < np.std(pulls) < 1.15


def test_a_constant_has_no_error():
    assert estimate(primary(np.ones((3, 50)), "test")) == (1.0, 0.0, 0.5, 0.0)


def test_errors_propagate_through_formulas():
    rng = np.random.default_rng(2)
    x = primary(2 + autoregressive(rng, 2000, 20, 0.0).T, "test")
    found = estimate(x**2)
    assert abs(found.error / (4 / np.sqrt(40000)) - 1) < 0.1


@pytest.mark.parametrize(
    ("number", "text"),
    [(Estimate(1.06218, 0.00461), "1.0622(46)"), (Estimate(-0.2, 0.013), "-0.200(13)"), (Estimate(1.0, 0.0), "1")],
)
def test_format(number, text):
    assert format_estimate(number) == text == str(number)


def test_a_systematic_error_is_independent_of_the_fluctuations():
    """It adds in squares, leaves tau_int alone, and correlates only what has the same source."""
    x, y = (primary(autoregressive(np.random.default_rng(seed), 4000, 2, 0.6).T, "chain") for seed in (1, 2))
    both = x + y
    alone, noise = estimate(both), estimate(both).error
    shifted = with_systematic_error(both, 2 * noise, "choice")
    assert estimate(shifted).error == pytest.approx(np.sqrt(5) * noise) and estimate(shifted).tau_int == alone.tau_int
    binned = estimate_from_bins(shifted, 1, configurations=8000, variance=1.0)
    assert binned.error == pytest.approx(np.sqrt(5) * noise)
    assert binned.tau_int == pytest.approx(estimate_from_bins(both, 1, configurations=8000, variance=1.0).tau_int)
    found, _ = correlation([both, shifted, -3 * shifted, with_systematic_error(both, 2 * noise, "another")], alone.tau_int)
    np.testing.assert_allclose(np.diag(found), 1)
    np.testing.assert_allclose(found[0, 1:3], [1 / np.sqrt(5), -1 / np.sqrt(5)])
    np.testing.assert_allclose([found[1, 2], found[1, 3]], [-1, 1 / 5])


def test_power_law_with_its_errors():
    """200 fits of noisy points: unbiased within four standard errors, and with pulls of unit width."""
    rng = np.random.default_rng(7)
    x = np.array([6, 8, 10, 12, 14])
    exact = 0.3 * x**1.7
    pulls = []
    for _ in range(200):
        drawn = [Estimate(value * (1 + 0.02 * noise), 0.02 * value) for value, noise in zip(exact, rng.normal(size=5), strict=True)]
        pulls.append(pull(power_law(x, drawn)[1], Estimate(1.7, 0.0)))
    assert abs(np.mean(pulls)) < 4 / np.sqrt(200) and abs(np.std(pulls) - 1) < 4 / np.sqrt(400)
    amplitude, _ = power_law(x, [Estimate(value, 0.01) for value in exact])
    assert amplitude.value == pytest.approx(0.3)
    with pytest.raises(ValueError, match="two points, got 1"):
        power_law([6], [Estimate(1.0, 0.1)])


def test_an_observable_is_analysed_once(monkeypatch):
    x = primary(np.random.default_rng(8).normal(size=(2, 500)), "test")
    first = estimate(x)
    monkeypatch.setattr(type(x), "gamma_method", lambda self: pytest.fail("analysed again"))
    assert analysed(x) is x and estimate(x) == first
