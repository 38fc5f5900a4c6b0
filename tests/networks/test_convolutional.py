"""Periodic convolutions against slow NumPy forms."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.config import Component
from lattice_flows.lattice import Lattice
from lattice_flows.networks import NETWORKS
from lattice_flows.networks.convolutional import from_blocks, periodic_convolution, to_blocks

PARITIES = ("even", "odd")


def slow_convolution(x, kernel, radius):
    """`y_n = sum_r kernel_r x_{n + r}` on a periodic lattice."""
    d = x.ndim - 2
    y = 0
    for offset in itertools.product(range(-radius, radius + 1), repeat=d):
        shifted = np.roll(x, [-o for o in offset], axis=range(1, d + 1))
        y = y + shifted @ kernel[tuple(o + radius for o in offset)]
    return y


@pytest.mark.parametrize("shape", [(6,), (3,), (4, 6), (2, 2), (5, 4), (4, 2, 6), (2, 4, 3, 2)])
@pytest.mark.parametrize("radius", [0, 1, 2])
def test_periodic_convolution(shape, radius):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, *shape, 3)).astype(np.float32)
    kernel = rng.normal(size=(2 * radius + 1,) * len(shape) + (3, 2)).astype(np.float32)
    y = from_blocks(periodic_convolution(to_blocks(np.moveaxis(x, -1, 0)), kernel))
    np.testing.assert_allclose(np.moveaxis(y, 0, -1), slow_convolution(x, kernel, radius), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("shape", [(8,), (6, 4), (2, 4, 6), (2, 2, 4, 2)])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_convolutional_network_is_a_chain_of_convolutions(shape, kernel_size):
    component = Component(name="convolutional", channels=[4, 3], kernel_size=kernel_size, activation="leaky_relu")
    lattice = Lattice(shape)
    network = NETWORKS.build(component, lattice, lattice.parity() == 0, PARITIES, np.random.default_rng(8))
    field = np.random.default_rng(9).normal(size=(3, *shape))
    variables = {variable.name: variable.numpy() for variable in network.variables}
    x = field[..., np.newaxis]
    for depth in range(3):
        kernel, bias = variables[f"convolution_{depth}/kernel:0"], variables[f"convolution_{depth}/bias:0"]
        x = slow_convolution(x, kernel, kernel_size // 2) + bias
        x = np.where(x > 0, x, 0.01 * x) if depth < 2 else np.tanh(x)
    np.testing.assert_allclose(np.stack(network(tf.constant(field)), axis=-1), x, atol=1e-5)
