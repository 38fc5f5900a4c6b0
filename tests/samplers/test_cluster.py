"""Clusters of signs, against clusters found site by site and an enumeration of all signs."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import lattice_flows as lf
from lattice_flows.actions import ACTIONS, Action, ScalarPhi4
from lattice_flows.config import CONFIGS, load
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.errors import estimate, primary
from lattice_flows.paper import references
from lattice_flows.samplers import Cluster, run_chain


@pytest.mark.parametrize("shape", [(6,), (8, 6), (2, 2), (4, 2, 4)])
def test_clusters_are_what_bonds_connect(shape):
    """Sites take the smallest number that a bond leads to until nothing changes."""
    lattice, chains = Lattice(shape), 5
    bonds = np.random.default_rng(1).random((lattice.d, chains, *shape)) < 0.45
    found = Cluster(ScalarPhi4(lattice, m2=-4.0, lam=7.0), chains=chains).clusters(*bonds)
    smallest, before = np.arange(found.size).reshape(chains, *shape), None
    while not np.array_equal(smallest, before):
        before = smallest
        for axis, ahead in zip(lattice.axes, bonds, strict=True):
            smallest = np.where(ahead, np.minimum(smallest, np.roll(smallest, -1, axis)), smallest)
            behind = np.roll(ahead, 1, axis)
            smallest = np.where(behind, np.minimum(smallest, np.roll(smallest, 1, axis)), smallest)
    pairs = {*zip(found.ravel().tolist(), smallest.ravel().tolist(), strict=True)}
    assert len(pairs) == len(np.unique(found)) == len(np.unique(smallest)) > chains


@pytest.mark.parametrize(("shape", "moduli"), [((2, 2), [0.5, 0.2, 0.7, 0.4]), ((4,), [0.7, 0.4, 0.9, 0.5])])
def test_new_signs_keep_their_distribution(shape, moduli):
    """Of all 2^4 signs with given moduli, and go to and fro equally often. Along an extent of 4, both neighbours differ."""
    action, moduli, chains = ScalarPhi4(Lattice(shape), m2=-4.0, lam=7.0), np.reshape(moduli, shape), 40000
    signs = np.array(list(itertools.product((1, -1), repeat=4))).reshape(-1, *shape)
    weight = np.exp(-action(tf.constant(signs * moduli)).numpy())
    probability = weight / weight.sum()
    before = np.random.default_rng(2).choice(16, size=chains, p=probability)
    cluster = Cluster(action, chains=chains)
    phi = cluster.with_new_signs(tf.constant(signs[before] * moduli), tf.constant([3, 4])).numpy()
    np.testing.assert_array_equal(np.abs(phi), np.broadcast_to(moduli, phi.shape))
    after = (phi.reshape(chains, 4) < 0) @ [8, 4, 2, 1]
    assert stats.chisquare(np.bincount(after, minlength=16), chains * probability).pvalue > 1e-3
    counts = np.zeros((16, 16))
    np.add.at(counts, (before, after), 1)
    there, back = counts[np.triu_indices(16, 1)], counts.T[np.triu_indices(16, 1)]
    enough = there + back > 20
    there, back = there[enough], back[enough]
    assert len(there) > 40 and stats.chi2.sf(np.sum((there - back) ** 2 / (there + back)), len(there)) > 1e-3
    assert 0.1 < np.mean(after == before) < 0.5


@pytest.mark.slow
def test_long_waves_are_forgotten_at_once():
    """Local Metropolis has a tau_int of 14 sweeps for M^2; signs of M are those of a coin."""
    cluster = Cluster(ScalarPhi4(Lattice((6, 6)), m2=-4.0, lam=6.975), chains=64)
    phi = np.concatenate([chunk.phi for chunk in run_chain(cluster, updates=300, thermalisation=100, seed=1)])
    assert estimate(primary((phi.mean(axis=(2, 3)) ** 2).T, "chains")).tau_int < 3
    positive = phi.mean(axis=(2, 3)) > 0
    assert abs(np.mean(positive[1:] != positive[:-1]) - 0.5) < 0.1


def test_actions_whose_clusters_are_not_known():
    class Gaussian(Action):
        name = "gaussian"

    with pytest.raises(ValueError, match="clusters of the action 'gaussian' are not known: use the sampler hmc"):
        Cluster(Gaussian(Lattice((4, 4))))


@pytest.mark.slow
def test_e1_agrees_with_the_references():
    config = load(CONFIGS / "E1.yaml")
    action = ACTIONS.build(config.action, Lattice(config.lattice.shape))
    ours = lf.measure(lf.baseline(action, "cluster", chains=128, updates=4000, thinning=2, thermalisation=300, progress=False))
    hmc = references.reference(action.lattice.shape, action.component)
    assert ours.trusted and max(tau for tau, _ in ours.chain["tau_int_of_updates"].values()) < 4
    for name in ("two_point_susceptibility", "phi_squared", "phi_fourth", "ising_energy", "binder_cumulant", "pole_mass"):
        one, other = ours.estimate(name), hmc.estimate(name)
        assert abs(one.value - other.value) < 4 * np.hypot(one.error, other.error) < 0.05 * abs(other.value), (name, one, other)
