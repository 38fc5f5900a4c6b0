"""What TFP asks of every bijector. A bijector that is exported without an entry in BIJECTORS fails the first test.

The checks are those of TFP's own `bijector_test_util`, such as `assert_bijective_and_finite`, which its
packages do not contain.
"""

import inspect

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows import bijectors
from lattice_flows.bijectors import EquivariantODE, FourierScaling, MaskedCoupling, RationalQuadraticSpline, SinhArcsinh
from lattice_flows.lattice import Lattice

SHAPE = (2, 4)
LATTICE = Lattice(SHAPE)
ACTIVE = LATTICE.parity() == 0


def conditioner(number):
    return lambda frozen: [tf.tanh(tf.roll(frozen, shift, 2)) for shift in range(number)]


def ode():
    made = EquivariantODE(LATTICE, features=2, knots=2, steps=4)
    for variable in made.trainable_variables:
        variable.assign_add(np.random.default_rng(1).normal(scale=0.03, size=variable.shape))
    return made


BIJECTORS = {
    "AffineCoupling": lambda: MaskedCoupling(conditioner(2), ACTIVE),
    "EquivariantODE": ode,
    "EvenSites": lambda: bijectors.EvenSites(LATTICE, 0.0, 1.0),
    "FourierScaling": lambda: FourierScaling(LATTICE, lambda momenta: 0.3 - 0.1 * momenta),
    "MaskedCoupling": lambda: MaskedCoupling(conditioner(11), ACTIVE, RationalQuadraticSpline(bins=4)),
    "OnOddSites": lambda: bijectors.OnOddSites(LATTICE, SinhArcsinh(2, width=0.6, tail=0.7)),
    "SinhArcsinh": lambda: SinhArcsinh(2, width=0.6, tail=0.7),
}

VARIABLES = {"EquivariantODE": 2, "FourierScaling": 1, "OnOddSites": 2, "SinhArcsinh": 2}  # others have none of their own

every_bijector = pytest.mark.parametrize("name", BIJECTORS)


def fields(dtype=np.float64, n=5):
    return tf.constant(np.random.default_rng(2).normal(size=(n, *SHAPE)).astype(dtype))


def test_every_exported_bijector_is_here():
    exported = {
        name
        for name, value in vars(bijectors).items()
        if inspect.isclass(value) and issubclass(value, tfp.bijectors.Bijector) and value is not bijectors.AugmentedBijector
    }
    assert exported <= BIJECTORS.keys()


@every_bijector
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_bijective_and_finite(name, dtype):
    bijector, x = BIJECTORS[name](), fields(dtype)
    y, z = tf.identity(bijector.forward(x)), tf.identity(bijector.inverse(x))
    tolerance = 2e-5 if dtype is np.float32 else 1e-6
    np.testing.assert_allclose(bijector.inverse(y), x, atol=tolerance)
    np.testing.assert_allclose(bijector.forward(z), x, atol=tolerance)
    fldj, ildj = bijector.forward_log_det_jacobian(x, 2), bijector.inverse_log_det_jacobian(y, 2)
    for value in (y, z, fldj, ildj):
        assert np.all(np.isfinite(value))
    np.testing.assert_allclose(fldj, -ildj, atol=tolerance)
    assert np.any(np.abs(y - x) > 0.01)


@every_bijector
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shapes_and_types(name, dtype):
    bijector, x = BIJECTORS[name](), fields(dtype)
    for direction in ("forward", "inverse"):
        value, log_det = getattr(bijector, direction)(x), getattr(bijector, f"{direction}_log_det_jacobian")(x, 2)
        assert value.dtype == dtype and value.shape == x.shape
        assert log_det.dtype == tf.float64 and log_det.shape in ((5,), ())
    assert bijector.forward_event_shape(SHAPE) == SHAPE == bijector.inverse_event_shape(SHAPE)
    assert bijector.forward_min_event_ndims == bijector.inverse_min_event_ndims == 2


@every_bijector
def test_it_works_in_other_bijectors_and_distributions(name):
    bijector, x = BIJECTORS[name](), fields()
    inverted = tfp.bijectors.Invert(bijector)
    np.testing.assert_array_equal(inverted.forward(x), bijector.inverse(tf.identity(x)))
    twice = tfp.bijectors.Chain([bijector, bijector])
    np.testing.assert_array_equal(twice.forward(x), bijector.forward(tf.identity(bijector.forward(tf.identity(x)))))
    site = tfp.distributions.Independent(tfp.distributions.Normal(tf.zeros(SHAPE, tf.float64), 1.0), 2)
    distribution = tfp.distributions.TransformedDistribution(site, bijector)
    z = bijector.inverse(tf.identity(x))
    expected = site.log_prob(z) + bijector.inverse_log_det_jacobian(tf.identity(x), 2)
    np.testing.assert_allclose(distribution.log_prob(tf.identity(x)), expected, rtol=1e-12)


@every_bijector
def test_its_variables_are_trained_through_it(name):
    bijector, x = BIJECTORS[name](), fields()
    assert len(bijector.variables) == len(bijector.trainable_variables) == VARIABLES.get(name, 0)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(bijector.forward(x) ** 2) + tf.reduce_sum(bijector.forward_log_det_jacobian(x, 2))
    for variable, gradient in zip(bijector.variables, tape.gradient(total, bijector.variables), strict=True):
        assert gradient is not None and np.all(np.isfinite(gradient)) and np.any(gradient != 0), variable.name
