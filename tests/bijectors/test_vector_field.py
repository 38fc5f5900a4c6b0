"""What the vector field is made of, and its sums on large lattices; its values are tested with the differential equation."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.bijectors.vector_field import VectorField
from lattice_flows.lattice import Lattice, OddSites

SMALL = {"features": 2, "knots": 3}
PAIRS = SMALL | {"pair_frequencies": 1, "pair_features": 1}
ALL = PAIRS | {"zero_mode": True, "mean_frequencies": 2, "smooth_lengths": (0.8, 1.5)}
CONSTANT = {  # variable -> the positive numbers that it begins with
    "log_frequencies": [0.7, 1.4],
    "pair_log_frequencies": [0.7],
    "mean_log_frequencies": [2, 4],
    "smooth_log_frequencies": [[2, 4, 6], [2, 4, 6]],
    "smooth_log_lengths": [0.8, 1.5],
}


def test_variables_have_their_names_and_order():
    """Files of weights have the names."""
    variables = VectorField(Lattice((4, 4)), **ALL, name="here").variables
    assert list(variables) == [
        "weights",
        "log_frequencies",
        "pair_weights",
        "pair_log_frequencies",
        "zero_mode",
        "mean_weights",
        "mean_log_frequencies",
        "smooth_weights",
        "smooth_log_frequencies",
        "smooth_log_lengths",
    ]
    assert all(variable.name == f"here/{key}:0" and variable.dtype == tf.float32 for key, variable in variables.items())


@pytest.mark.parametrize("sign", [1, -1])
def test_variables_are_numbers_at_the_knots_or_logarithms_of_positive_numbers(sign):
    field = VectorField(Lattice((4, 4)), **ALL)
    for key, variable in field.variables.items():
        if key not in CONSTANT:
            assert variable.shape[0] == 3 and not np.any(variable)
            variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    for (key, variable), value in zip(field.variables.items(), field.values(tf.float64, sign), strict=True):
        expected = CONSTANT[key] if key in CONSTANT else variable.numpy()[::sign]
        np.testing.assert_allclose(value, expected, rtol=1e-6, err_msg=key)


NEAREST = [
    (Lattice((4, 4)), 0.99, 1),
    (Lattice((4,)), -2.0, 1),
    (OddSites(Lattice((4, 6))), 1.41, 1.42),
    (OddSites(Lattice((8,))), 1, 2),
]


@pytest.mark.parametrize(("lattice", "short", "least"), NEAREST, ids=str)
def test_pair_terms_reach_another_site(lattice, short, least):
    with pytest.raises(ValueError) as error:
        VectorField(lattice, **PAIRS, pair_radius=short)
    assert str(error.value) == f"pair_radius must be {least} or more, or pair terms reach no other site of {lattice}, got {short}"
    assert VectorField(lattice, **PAIRS, pair_radius=least).variables["pair_weights"].shape[-1] == 1


def divergences(field, phi):
    """By XLA, in float32 and in float64."""

    @tf.function(autograph=False, jit_compile=True)
    def divergence(phi):
        terms = field.terms(field.values(phi.dtype), tf.constant([0.0, 1.0, 0.0], phi.dtype))
        return field(phi, terms)[1]

    return [divergence(tf.constant(phi, dtype)).numpy() for dtype in (tf.float32, tf.float64)]


@pytest.mark.parametrize("shape", [(1024,), (2, 2, 1024)])
def test_sums_along_long_axes_do_not_lose_digits(shape):
    """Summed in float32, they lose three to ten times as many."""
    field = VectorField(Lattice(shape), **SMALL, kernel_radius=1.0)
    weights = field.variables["weights"]
    weights[:, 0, 0].assign(np.ones(3))  # W_1(t, 0)
    single, double = divergences(field, np.random.default_rng(1).normal(size=(8, *shape)))
    np.testing.assert_allclose(single, double, rtol=2.5e-8)


def test_smooth_terms_do_not_lose_digits_to_the_volume():
    """Where the sum over momenta of their averages is taken in float32, they lose ten times as much."""
    field = VectorField(Lattice((64, 64)), **SMALL, kernel_radius=1.0, smooth_lengths=(1.0,))
    field.variables["smooth_weights"].assign(np.ones([3, 1, 3]))
    single, double = divergences(field, 0.1 * np.random.default_rng(1).normal(size=(1, 64, 64)))
    np.testing.assert_allclose(single, double, rtol=2e-7)
