"""The loss where it is known: on a free field, with the flow that is exact."""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from exact import free_field

from lattice_flows.actions import ScalarPhi4
from lattice_flows.flows import Flow
from lattice_flows.lattice import Lattice
from lattice_flows.objectives import reverse_kl

tfb, tfd = tfp.bijectors, tfp.distributions


def exact_flow(lattice, m2):
    """Unit normals times a square root of the covariance, `log q = -S - log Z` for every field."""
    identity = np.eye(lattice.volume).reshape(-1, *lattice.shape)
    spectrum = 2 * (lattice.momentum_squared() + m2)
    inverse = np.fft.ifftn(np.fft.fftn(identity, axes=lattice.axes) / spectrum, axes=lattice.axes).real
    root = np.linalg.cholesky(inverse.reshape(lattice.volume, lattice.volume))
    prior = tfd.Independent(tfd.Normal(tf.zeros(lattice.shape, tf.float64), tf.constant(1.0, tf.float64)), lattice.d)
    flatten = tfb.Reshape([lattice.volume], list(lattice.shape))
    return Flow(lattice, prior, tfb.Chain([tfb.Invert(flatten), tfb.ScaleMatvecTriL(root), flatten]))


def test_the_loss_of_the_exact_flow_is_minus_log_z_for_every_sample():
    lattice, m2 = Lattice((4, 4)), 0.8
    flow = exact_flow(lattice, m2)
    loss = reverse_kl(flow, ScalarPhi4(lattice, m2=m2, lam=0.0), flow.prior.sample(6, seed=[1, 2]))
    np.testing.assert_allclose(loss, np.full(6, -free_field(lattice, m2)["log_z"]), rtol=1e-12)


def test_any_other_flow_has_a_larger_loss():
    lattice, m2 = Lattice((4, 4)), 0.8
    flow = exact_flow(lattice, 0.9)
    loss = reverse_kl(flow, ScalarPhi4(lattice, m2=m2, lam=0.0), flow.prior.sample(20000, seed=[1, 2])).numpy()
    error = loss.std() / np.sqrt(len(loss))
    assert loss.mean() > -free_field(lattice, m2)["log_z"] + 4 * error
