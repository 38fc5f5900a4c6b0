"""Chains of periodic convolutions, and of means of convolutions along some of the axes."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from pydantic import PositiveInt

from lattice_flows.config import Sizes
from lattice_flows.lattice import Lattice
from lattice_flows.networks.conditioner import Parity
from lattice_flows.networks.layers import ACTIVATIONS, Activation, uniform
from lattice_flows.networks.periodic_convolution import from_blocks, kernel_sizes, periodic_convolution, to_blocks

__all__ = ["CombinationalNetwork", "ConvolutionalNetwork"]


class ConvolutionalNetwork(tf.Module):
    """Periodic convolutions in 1 to 4 dimensions, covariant under translations.

    With `channels: [8, 8]`, `kernel_size: 3` and a final tanh this is the network of the tutorial arXiv:2101.08176 and of
    GomalizingFlow.jl. Only the number of parities counts: no output is even or odd under phi -> -phi.

    Args:
      lattice: the lattice.
      active: mask of the active sites, bool of the lattice's shape.
      parities: one for each output.
      rng: draws the initial weights.
      channels: numbers of channels of the hidden layers.
      kernel_size: odd, one for all axes, or one for each.
      activation: of the hidden layers, "leaky_relu", "tanh" or "linear".
      final_activation: of the last layer.

    Raises:
      ValueError: the kernel is even, or wraps around the lattice more than once.
    """

    symmetries: frozenset[str] = frozenset({"even translation"})

    def __init__(
        self,
        lattice: Lattice,
        active: np.ndarray,
        parities: tuple[Parity, ...],
        rng: np.random.Generator,
        *,
        channels: Sizes = (8, 8),
        kernel_size: PositiveInt | Sizes = 3,
        activation: Activation = "leaky_relu",
        final_activation: Activation = "tanh",
    ):
        super().__init__(name="convolutional_network")
        self._sizes = kernel_sizes(kernel_size, lattice.shape)
        channels = (1, *channels, len(parities))
        self._layers = [
            _convolution(rng, self._sizes, *ends, f"convolution_{depth}") for depth, ends in enumerate(itertools.pairwise(channels))
        ]
        self._activations = [ACTIVATIONS[activation]] * (len(channels) - 2) + [ACTIVATIONS[final_activation]]

    def __call__(self, field: tf.Tensor) -> tuple[tf.Tensor, ...]:
        x = to_blocks(tf.cast(field, tf.float32)[tf.newaxis], self._sizes)
        for (kernel, bias), activation in zip(self._layers, self._activations, strict=True):
            x = _layer(x, kernel, bias, activation)
        return tuple(tf.unstack(from_blocks(x), axis=0))


class CombinationalNetwork(tf.Module):
    """Means of periodic convolutions along every choice of some of the axes, covariant under translations.

        y = 1 / (d choose k) sum over choices c of k axes: activation(kernel_c * x + bias_c)

    (A. Tomiya and S. Terasaki, Combinational-convolution for flow-based sampling algorithm, Machine Learning and the Physical
    Sciences workshop, NeurIPS 2022.) Every choice has a kernel and a bias of its own, as there, so rotations are no symmetry. Four
    dimensions from one, two or three are `axes: 1`, `axes: 2`, `axes: 3`, called 4C1, 4C2, 4C3. Only the number of parities counts:
    no output is even or odd under phi -> -phi.

    Args:
      lattice: the lattice.
      active: mask of the active sites, bool of the lattice's shape.
      parities: one for each output.
      rng: draws the initial weights.
      axes: k, the number of axes that a convolution runs along, at most that of the lattice.
      channels: numbers of channels of the hidden layers.
      kernel_size: odd, one for all axes, or one for each axis of the lattice.
      activation: of the hidden layers, "leaky_relu", "tanh" or "linear".
      final_activation: of the last layer.

    Raises:
      ValueError: more axes than the lattice has, or a kernel that is even or wraps around the lattice more than once.
    """

    symmetries: frozenset[str] = frozenset({"even translation"})

    def __init__(
        self,
        lattice: Lattice,
        active: np.ndarray,
        parities: tuple[Parity, ...],
        rng: np.random.Generator,
        *,
        axes: PositiveInt = 1,
        channels: Sizes = (8, 8),
        kernel_size: PositiveInt | Sizes = 3,
        activation: Activation = "leaky_relu",
        final_activation: Activation = "tanh",
    ):
        super().__init__(name="combinational_network")
        if axes > lattice.d:
            raise ValueError(f"axes must be at most the {lattice.d} dimensions of the lattice {lattice.shape}, got {axes}")
        sizes = kernel_sizes(kernel_size, lattice.shape)
        self._choices = list(itertools.combinations(range(lattice.d), axes))
        channels = (1, *channels, len(parities))
        self._layers = [
            [
                _convolution(rng, tuple(sizes[axis] for axis in choice), *ends, f"convolution_{depth}/choice_{i}")
                for i, choice in enumerate(self._choices)
            ]
            for depth, ends in enumerate(itertools.pairwise(channels))
        ]
        self._activations = [ACTIVATIONS[activation]] * (len(channels) - 2) + [ACTIVATIONS[final_activation]]

    def __call__(self, field: tf.Tensor) -> tuple[tf.Tensor, ...]:
        x = tf.cast(field, tf.float32)[tf.newaxis]
        for layer, activation in zip(self._layers, self._activations, strict=True):
            parts = [_along(choice, x, *weights, activation) for choice, weights in zip(self._choices, layer, strict=True)]
            x = tf.add_n(parts) / len(parts)
        return tuple(tf.unstack(x, axis=0))


def _convolution(
    rng: np.random.Generator, sizes: tuple[int, ...], inputs: int, outputs: int, name: str
) -> tuple[tf.Variable, tf.Variable]:
    """The kernel `[*sizes, inputs, outputs]` and the bias `[outputs]` of a convolution."""
    fan_in = inputs * math.prod(sizes)
    kernel = uniform(rng, (*sizes, inputs, outputs), fan_in, f"{name}/kernel")
    return kernel, uniform(rng, (outputs,), fan_in, f"{name}/bias")


def _layer(x: tf.Tensor, kernel: tf.Variable, bias: tf.Variable, activation: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Convolution, bias and activation, of blocks as in `periodic_convolution`."""
    y = periodic_convolution(x, kernel)
    # Element-wise operations of TensorFlow take at most eight axes; in four dimensions y has ten.
    flat = tf.reshape(y, [math.prod(y.shape[: len(kernel.shape) - 2]), bias.shape[0], -1])
    return tf.reshape(activation(flat + bias[:, tf.newaxis]), [*y.shape[:-1], -1])


def _along(
    choice: tuple[int, ...], x: tf.Tensor, kernel: tf.Variable, bias: tf.Variable, activation: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """A layer `[inputs, batch, *shape]` -> `[outputs, batch, *shape]` along some of the axes; the others join the batch."""
    others = [axis for axis in range(len(x.shape) - 2) if axis not in choice]
    order = [0, 1, *(axis + 2 for axis in (*others, *choice))]
    extents = [x.shape[axis] for axis in order[2:]]
    flat = tf.reshape(tf.transpose(x, order), [x.shape[0], -1, *extents[len(others) :]])
    y = from_blocks(_layer(to_blocks(flat, kernel.shape[: len(choice)]), kernel, bias, activation))
    return tf.transpose(tf.reshape(y, [y.shape[0], -1, *extents]), np.argsort(order))
