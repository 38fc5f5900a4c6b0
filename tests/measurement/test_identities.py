"""Schwinger-Dyson equations on samples that are exact. Tolerance: four standard deviations."""

import numpy as np
import pytest
import tensorflow as tf
from exact import free_fields

from lattice_flows.actions import Action, ScalarPhi4
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.identities import IDENTITIES, identities


def pulls(series):
    return {name: values.mean() / (values.std() / np.sqrt(len(values))) for name, values in series.items()}


@pytest.mark.parametrize("shape", [(6, 4), (2, 2), (3, 2, 4)])
def test_they_are_zero_on_average_on_the_free_field(shape):
    lattice = Lattice(shape)
    action = ScalarPhi4(lattice, m2=0.7, lam=0.0)
    found = pulls(identities(free_fields(lattice, 0.7, 20000), action))
    assert tuple(found) == IDENTITIES
    assert max(map(abs, found.values())) < 4
    wrong = pulls(identities(free_fields(lattice, 0.5, 20000), action))
    assert min(map(abs, wrong.values())) > 4


def test_they_are_zero_on_average_with_an_interaction():
    """Two sites, weighted by `exp(-S)` on a grid: no statistics, so the integrals vanish to the accuracy of the sum."""
    action = ScalarPhi4(Lattice((2,)), m2=-1.5, lam=0.8)
    x = np.linspace(-3.5, 3.5, 281)
    phi = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2)
    weight = np.exp(-action(tf.constant(phi)).numpy())
    for name, values in identities(phi, action).items():
        assert abs(np.average(values, weights=weight)) < 1e-8 < np.average(np.abs(values), weights=weight), name


def test_an_action_needs_no_closed_form_of_its_force():
    class Sextic(Action):
        name = "sextic"

        def __call__(self, phi):
            return tf.reduce_sum(tf.cast(phi, tf.float64) ** 6, self.lattice.axes)

    phi = np.random.default_rng(2).normal(size=(3, 4, 4))
    found = identities(phi, Sextic(Lattice((4, 4))))
    np.testing.assert_allclose(found["schwinger_dyson_cubic"], np.mean(6 * phi**8 - 3 * phi**2, axis=(1, 2)))
    np.testing.assert_allclose(
        found["schwinger_dyson_magnetization_cubed"],
        phi.mean(axis=(1, 2)) ** 3 * np.sum(6 * phi**5, axis=(1, 2)) - 3 * phi.mean(axis=(1, 2)) ** 2,
    )
