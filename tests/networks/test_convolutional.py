"""Periodic convolutions, and networks of them, against slow NumPy forms."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.config import Component, ConfigError
from lattice_flows.lattice import Lattice
from lattice_flows.networks import NETWORKS
from lattice_flows.networks.periodic_convolution import from_blocks, periodic_convolution, to_blocks

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


def test_one_size_for_each_axis():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2, 4, 3, 6, 2)).astype(np.float32)
    for sizes in [(3, 1, 5), (1, 3, 3), (3, 3, 1), (1, 1, 3), (1, 1, 1)]:
        kernel = rng.normal(size=(*sizes, 2, 3)).astype(np.float32)
        embedded = np.pad(kernel, [((5 - size) // 2,) * 2 for size in sizes] + [(0, 0)] * 2)
        y = from_blocks(periodic_convolution(to_blocks(np.moveaxis(x, -1, 0), sizes), kernel))
        np.testing.assert_allclose(np.moveaxis(y, 0, -1), slow_convolution(x, embedded, 2), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("kernel_size", "message"),
    [
        ([3, 3, 3], r"one number, or one for each of the 2 axes of \(4, 6\), got \[3, 3, 3\]"),
        ([3, 2], r"must be odd .* got \(3, 2\)"),
        (11, r"at most twice the extent plus one, got 11 on \(4, 6\)"),
    ],
)
@pytest.mark.parametrize("name", ["convolutional", "combinational"])
def test_kernels_that_do_not_fit_are_refused(name, kernel_size, message):
    lattice = Lattice((4, 6))
    with pytest.raises(ConfigError, match=message):
        NETWORKS.build(
            Component(name=name, kernel_size=kernel_size), lattice, lattice.parity() == 0, PARITIES, np.random.default_rng(8)
        )


SHAPES = {2: (4, 6), 3: (4, 3, 2), 4: (2, 4, 2, 3)}
CASES = [(2, 1), (2, 2), (3, 1), (3, 2), (4, 1), (4, 2), (4, 3), (4, 4)]  # 2C1, 3C1, ...


def build(shape, name="combinational", **settings):
    active = np.arange(np.prod(shape)).reshape(shape) % 2 == 0  # convolutions do not look at it
    return NETWORKS.build(
        Component(name=name, channels=[3], **settings), Lattice(shape), active, PARITIES, np.random.default_rng(8)
    )


def kernels(network):
    return {variable.name: variable.numpy() for variable in network.variables}


@pytest.mark.parametrize(("d", "k"), CASES)
def test_it_is_a_chain_of_means_over_all_choices_of_axes(d, k):
    shape = SHAPES[d]
    network = build(shape, axes=k)
    field, variables = np.random.default_rng(9).normal(size=(3, *shape)), kernels(network)
    x = field[..., np.newaxis]
    for depth in range(2):
        parts = []
        for i, choice in enumerate(itertools.combinations(range(d), k)):
            kernel = variables[f"convolution_{depth}/choice_{i}/kernel:0"]
            assert kernel.shape[:-2] == (3,) * k
            embedded = np.expand_dims(kernel, [axis for axis in range(d) if axis not in choice])
            full = np.pad(embedded, [(0, 0) if axis in choice else (1, 1) for axis in range(d)] + [(0, 0)] * 2)
            y = slow_convolution(x, full, 1) + variables[f"convolution_{depth}/choice_{i}/bias:0"]
            parts.append(np.where(y > 0, y, 0.01 * y) if depth == 0 else np.tanh(y))
        x = np.mean(parts, axis=0)
    np.testing.assert_allclose(np.stack(network(tf.constant(field)), axis=-1), x, atol=1e-5)


@pytest.mark.parametrize(("d", "k"), CASES)
def test_it_is_covariant_under_translations(d, k):
    network, axes = build(SHAPES[d], axes=k), range(1, d + 1)
    field = np.random.default_rng(10).normal(size=(2, *SHAPES[d]))
    for shift in np.eye(d, dtype=int):
        for one, other in zip(network(tf.constant(np.roll(field, shift, axes))), network(tf.constant(field)), strict=True):
            np.testing.assert_allclose(one, np.roll(other, shift, axes), atol=1e-6)


def test_an_output_sees_sites_that_differ_along_k_axes_alone():
    """One layer: the derivative with respect to the field is zero for other displacements."""
    shape = (4, 4, 4)
    for k in (1, 2, 3):
        network = NETWORKS.build(
            Component(name="combinational", axes=k, channels=[]),
            Lattice(shape),
            Lattice(shape).parity() == 0,
            PARITIES,
            np.random.default_rng(8),
        )
        field = tf.zeros([1, *shape])
        with tf.GradientTape() as tape:
            tape.watch(field)
            value = network(field)[0][0, 0, 0, 0]
        seen = np.argwhere(tape.gradient(value, field).numpy()[0] != 0)
        differing = np.count_nonzero(seen, axis=1)
        assert differing.max() == k and len(seen) == sum([1, 6, 12, 8][: k + 1])


def test_all_axes_at_once_are_an_ordinary_convolution():
    one, other = build((4, 6), axes=2), build((4, 6), name="convolutional")
    field = tf.constant(np.random.default_rng(11).normal(size=(2, 4, 6)))
    for (name, variable), twin in zip(kernels(one).items(), other.variables, strict=True):
        assert name.replace("/choice_0", "") == twin.name
        np.testing.assert_array_equal(variable, twin)
    np.testing.assert_allclose(one(field), other(field), atol=1e-6)


def test_a_size_for_each_axis():
    sizes = [variable.shape[:-2] for variable in build((4, 6), axes=1, kernel_size=[3, 5]).variables if "kernel" in variable.name]
    assert sizes == [(3,), (5,)] * 2


def test_more_axes_than_there_are_are_refused():
    with pytest.raises(ConfigError, match=r"axes must be at most the 2 dimensions of the lattice \(4, 6\), got 3"):
        build((4, 6), axes=3)
