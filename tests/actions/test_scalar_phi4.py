"""The action against a site-by-site sum, and its conversions and refusals."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.actions import ACTIONS, ScalarPhi4
from lattice_flows.config import Component, ConfigError
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.series import measured


def slow_action(phi, m2, lam):
    """Eq. 20 of arXiv:1904.12072, term by term."""
    total = 0.0
    for site in itertools.product(*map(range, phi.shape)):
        total += m2 * phi[site] ** 2 + lam * phi[site] ** 4
        for mu, extent in enumerate(phi.shape):
            forward, backward = list(site), list(site)
            forward[mu], backward[mu] = (site[mu] + 1) % extent, (site[mu] - 1) % extent
            total += phi[site] * (2 * phi[site] - phi[tuple(forward)] - phi[tuple(backward)])
    return total


@pytest.mark.parametrize("shape", [(6,), (4, 6), (2, 4, 3), (2, 3, 2, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_against_the_sum_over_sites(shape, dtype):
    phi = np.random.default_rng(1).normal(size=(3, *shape)).astype(dtype)
    action = ScalarPhi4(Lattice(shape), m2=-1.3, lam=0.7)
    values = action(tf.constant(phi))
    assert values.dtype == tf.float64
    expected = [slow_action(field.astype(np.float64), -1.3, 0.7) for field in phi]
    np.testing.assert_allclose(values, expected, rtol=1e-12 if dtype is np.float64 else 1e-6)


@pytest.mark.parametrize("shape", [(6,), (2, 3), (2, 4, 3)])
def test_the_change_at_each_site_is_that_of_the_whole_action(shape):
    action = ScalarPhi4(Lattice(shape), m2=-1.3, lam=0.7)
    phi, proposal = np.random.default_rng(3).normal(size=(2, 2, *shape))
    changes = action.change_at_each_site(tf.constant(phi), tf.constant(proposal)).numpy()
    for site in itertools.product(*map(range, shape)):
        changed = phi.copy()
        changed[(slice(None), *site)] = proposal[(slice(None), *site)]
        np.testing.assert_allclose(changes[(slice(None), *site)], action(changed) - action(phi), rtol=1e-9, atol=1e-9)


def test_the_form_with_one_half_and_factorials_has_a_coupling_six_times_as_large():
    # S = sum 1/2 (d phi)^2 + 1/2 m2 phi^2 + g/4! phi^4 with phi = sqrt(2) phi_ours is ours at lam = g / 6.
    g, m2 = 3.0, 0.4
    phi = np.random.default_rng(2).normal(size=(4, 4))
    theirs = np.sqrt(2) * phi
    gradient = sum(np.sum((np.roll(theirs, -1, axis) - theirs) ** 2) for axis in (0, 1))
    expected = 0.5 * gradient + np.sum(0.5 * m2 * theirs**2 + g / 24 * theirs**4)
    ours = ScalarPhi4(Lattice((4, 4)), m2=m2, lam=g / 6)(tf.constant(phi[np.newaxis]))
    np.testing.assert_allclose(ours, [expected], rtol=1e-12)


def test_refusals():
    lattice = Lattice((4, 4))
    with pytest.raises(ValueError, match=r"lam must not be negative, got -1.0"):
        ScalarPhi4(lattice, m2=1.0, lam=-1.0)
    for m2, lam in ((np.nan, 1.0), (1.0, np.inf), (1.0, "5")):
        with pytest.raises(ValueError, match="must be a finite number, got "):
            ScalarPhi4(Lattice((4, 4)), m2=m2, lam=lam)
    with pytest.raises(AttributeError):
        ScalarPhi4(Lattice((4, 4)), m2=1.0, lam=1.0).lam = 2.0  # compiled functions would not notice
    with pytest.raises(ValueError, match=r"lam = 0 needs m2 > 0, got m2 = 0.0"):
        ScalarPhi4(lattice, m2=0.0, lam=0.0)
    with pytest.raises(ValueError, match=r"phi must have the shape \[batch, \(4, 4\)\], got \(2, 4, 6\)"):
        ScalarPhi4(lattice, m2=1.0, lam=1.0)(tf.zeros([2, 4, 6]))
    with pytest.raises(ConfigError, match=r"action 'scalar_phi4': lam must not be negative, got -0.5"):
        ACTIONS.build(Component(name="scalar_phi4", m2=1.0, lam=-0.5), lattice)


def test_a_subclass_with_another_action_does_not_inherit_closed_forms():
    class WithSource(ScalarPhi4):
        name = "with_source"

        def __call__(self, phi):
            return super().__call__(phi) + 0.3 * tf.reduce_sum(tf.cast(phi, tf.float64), self.lattice.axes)

    class Renamed(ScalarPhi4):
        name = "renamed"

    lattice, phi = Lattice((4, 4)), np.random.default_rng(1).normal(size=(3, 4, 4))
    plain, renamed, other = (kind(lattice, m2=1.0, lam=0.5) for kind in (ScalarPhi4, Renamed, WithSource))
    assert renamed.site_potential == plain.site_potential == (5.0, 0.5) and other.site_potential is None
    np.testing.assert_allclose(other.force(phi), plain.force(phi) + 0.3)
    ours, its = (measured(phi, action)["schwinger_dyson"] for action in (plain, other))
    np.testing.assert_allclose(its, ours + 0.3 * phi.mean(axis=(1, 2)))
    with pytest.raises(NotImplementedError, match="WithSource does not have"):
        other.change_at_each_site(tf.constant(phi), tf.constant(phi))


def test_it_says_how_to_build_it_again():
    action = ScalarPhi4(Lattice((4, 4)), m2=-1, lam=0.7)
    assert action.component == {"name": "scalar_phi4", "m2": -1.0, "lam": 0.7}
    again = ACTIONS.build(Component(**action.component), Lattice((4, 4)))
    assert again.parameters == action.parameters == {"m2": -1.0, "lam": 0.7}
