"""Priors as images of unit normal numbers."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.config import ConfigError
from lattice_flows.lattice import Lattice, OddSites
from lattice_flows.priors import PRIORS, NormalEvenSites, normal
from lattice_flows.priors.whitening import whitening

LATTICE = Lattice((4, 6))


@pytest.mark.parametrize(
    "prior",
    [
        {"name": "normal", "width": 0.3, "learn_width": True},
        {"name": "normal", "mean_field": 1.5},
        {"name": "free_field", "m2": 0.4, "mean_field": 0.2},
        None,
    ],
    ids=str,
)
def test_the_density_is_that_of_the_prior(prior):
    made = PRIORS.build(prior, LATTICE) if prior else NormalEvenSites(PRIORS.build("free_field", OddSites(LATTICE)))
    z = tf.constant(np.random.default_rng(1).normal(size=(5, 4, 6)))
    white = whitening(made)
    density = normal(LATTICE).log_prob(z) - white.forward_log_det_jacobian(z, event_ndims=2)
    np.testing.assert_allclose(made.log_prob(white.forward(z)), density, atol=1e-9)


@pytest.mark.parametrize("prior", [{"name": "quartic"}, {"name": "normal", "mean_field": 1.0, "bridge": 0.1}], ids=str)
def test_other_priors_are_refused(prior):
    with pytest.raises(ValueError, match=r"is not an image of unit normal numbers, .*: use the sampler independence") as error:
        whitening(PRIORS.build(prior, LATTICE))
    assert not isinstance(error.value, ConfigError)
