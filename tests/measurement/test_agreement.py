"""Agreement of samplers on correlated observables."""

import numpy as np
import pyerrors as pe
from scipy import stats

from lattice_flows.measurement.agreement import agreement, correlation
from lattice_flows.measurement.errors import Estimate, analysed, primary


def test_the_correlation_is_that_of_pyerrors():
    rng = np.random.default_rng(9)
    x, y, z = (primary(series, "test") for series in rng.normal(size=(3, 5, 400)) + rng.normal(size=(5, 400)))
    observables = [x, y * z, x**2 - z]
    expected = pe.covariance([analysed(each) for each in observables], correlation=True)
    np.testing.assert_allclose(correlation(observables), expected, rtol=1e-12)


def test_correlation_of_errors():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(4, 5000))
    y = 0.6 * x + 0.8 * rng.normal(size=x.shape)
    found = correlation([primary(x, "test"), primary(y, "test")])
    assert abs(found[0, 1] - 0.6) < 4 * 0.64 / np.sqrt(x.size) and np.allclose(np.diag(found), 1)


def test_agreement_has_the_chi_square_distribution_and_sees_a_shift():
    """Three samplers of five observables, two of them the same up to a factor, so that four count; 400 trials."""
    rng = np.random.default_rng(6)
    mix = rng.normal(size=(5, 4))
    mix[4] = 3 * mix[3]
    deviation = np.sqrt(np.diag(mix @ mix.T))
    matrix = mix @ mix.T / np.outer(deviation, deviation)
    taus = np.array([[0.5] * 5, [1.0] * 5, [0.5, 1.0, 2.0, 3.0, 3.0]])
    errors = np.array([[0.1], [0.2], [0.5]]) * np.sqrt(2 * taus) * deviation

    def trial(shift):
        drawn = [rng.multivariate_normal(np.ones(5), matrix * np.outer(e, e), method="svd") for e in errors]
        drawn[0] = drawn[0] + shift * errors[0]
        return agreement([(list(map(Estimate, *sampler)), matrix) for sampler in zip(drawn, errors, taus, strict=True)])

    trials = [trial(0.0) for _ in range(400)]
    assert {found.degrees_of_freedom for found in trials} == {8}
    assert stats.kstest([found.p for found in trials], "uniform").pvalue > 0.01
    assert np.median([trial(5.0).p for _ in range(20)]) < 1e-3
