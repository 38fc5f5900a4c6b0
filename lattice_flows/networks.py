"""What a coupling conditions on: networks from a field to several fields on the same lattice.

A network maps `[batch, *lattice_shape]` to a tuple of `outputs` such tensors, in float32, and names the `symmetries` of
`flows.Flow` that a coupling keeps with it. Weights start as in PyTorch, uniform in `+- 1 / sqrt(fan_in)`, which is what the
public re-implementations of arXiv:1904.12072 use.
"""

import itertools
import math
from typing import Literal

import numpy as np
import tensorflow as tf
from pydantic import PositiveInt

from lattice_flows.config import Component, Sizes, build
from lattice_flows.lattice import Lattice

__all__ = ["NETWORKS", "ConvolutionalNetwork", "DenseNetwork", "build_network"]

ACTIVATIONS = {
    "leaky_relu": lambda x: tf.nn.leaky_relu(x, 0.01),
    "tanh": tf.tanh,
    "linear": tf.identity,
}
Activation = Literal["leaky_relu", "tanh", "linear"]


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, name: str) -> tf.Variable:
    bound = 1 / math.sqrt(fan_in)
    return tf.Variable(rng.uniform(-bound, bound, shape).astype(np.float32), name=name)


class DenseNetwork(tf.Module):
    """Fully connected layers over all sites at once (arXiv:1904.12072, sec. III: two to six layers of 100 to 1024).

    Args:
      lattice: the lattice.
      outputs: how many fields come out.
      rng: draws the initial weights.
      hidden: sizes of the hidden layers.
      activation: after every hidden layer.
      final_activation: after the last layer.
    """

    symmetries: frozenset[str] = frozenset()

    def __init__(
        self,
        lattice: Lattice,
        outputs: int,
        rng: np.random.Generator,
        *,
        hidden: Sizes,
        activation: Activation = "leaky_relu",
        final_activation: Activation = "linear",
    ):
        super().__init__(name="dense_network")
        self._shape, self._outputs = lattice.shape, outputs
        sizes = (lattice.volume, *hidden, outputs * lattice.volume)
        self._layers = []
        for depth, (fan_in, size) in enumerate(itertools.pairwise(sizes)):
            kernel = _uniform(rng, (fan_in, size), fan_in, f"dense_{depth}/kernel")
            self._layers.append((kernel, _uniform(rng, (size,), fan_in, f"dense_{depth}/bias")))
        self._activations = [ACTIVATIONS[activation]] * len(hidden) + [ACTIVATIONS[final_activation]]

    def __call__(self, field: tf.Tensor) -> tuple[tf.Tensor, ...]:
        x = tf.reshape(tf.cast(field, tf.float32), [-1, math.prod(self._shape)])
        for (kernel, bias), activation in zip(self._layers, self._activations, strict=True):
            x = activation(x @ kernel + bias)
        return tuple(tf.unstack(tf.reshape(x, [-1, self._outputs, *self._shape]), axis=1))


class ConvolutionalNetwork(tf.Module):
    """Periodic convolutions in 1 to 4 dimensions, covariant under translations.

    With `channels: [8, 8]`, `kernel_size: 3` and a final tanh this is the network of the tutorial arXiv:2101.08176 and of
    GomalizingFlow.jl.

    Args:
      lattice: the lattice.
      outputs: how many fields come out.
      rng: draws the initial weights.
      channels: of the hidden layers.
      kernel_size: odd, the same in every direction and layer.
      activation: after every hidden layer.
      final_activation: after the last layer.

    Raises:
      ValueError: a kernel that is even or wraps around the lattice more than once.
    """

    symmetries: frozenset[str] = frozenset({"translation by 2"})

    def __init__(
        self,
        lattice: Lattice,
        outputs: int,
        rng: np.random.Generator,
        *,
        channels: Sizes = (8, 8),
        kernel_size: PositiveInt = 3,
        activation: Activation = "leaky_relu",
        final_activation: Activation = "tanh",
    ):
        super().__init__(name="convolutional_network")
        if kernel_size % 2 == 0 or kernel_size // 2 > min(lattice.shape):
            raise ValueError(f"kernel_size must be odd and at most twice the extent plus one, got {kernel_size} on {lattice.shape}")
        self._radius = kernel_size // 2
        sizes = (1, *channels, outputs)
        self._layers = []
        for depth, (inputs, size) in enumerate(itertools.pairwise(sizes)):
            fan_in = inputs * kernel_size**lattice.d
            kernel = _uniform(rng, (kernel_size,) * lattice.d + (inputs, size), fan_in, f"convolution_{depth}/kernel")
            self._layers.append((kernel, _uniform(rng, (size,), fan_in, f"convolution_{depth}/bias")))
        self._activations = [ACTIVATIONS[activation]] * len(channels) + [ACTIVATIONS[final_activation]]

    def __call__(self, field: tf.Tensor) -> tuple[tf.Tensor, ...]:
        x = tf.cast(field, tf.float32)[..., tf.newaxis]
        for (kernel, bias), activation in zip(self._layers, self._activations, strict=True):
            x = activation(periodic_convolution(x, kernel, self._radius) + bias)
        return tuple(tf.unstack(x, axis=-1))


def periodic_convolution(x: tf.Tensor, kernel: tf.Tensor, radius: int) -> tf.Tensor:
    """Cross-correlation on a periodic lattice.

    Args:
      x: `[batch, *lattice_shape, inputs]`, 1 to 4 dimensions.
      kernel: `[2 radius + 1, ..., inputs, outputs]`.
      radius: of the kernel, at most the smallest extent.

    Returns:
      `[batch, *lattice_shape, outputs]`.
    """
    d = len(x.shape) - 2
    for axis in range(1, d + 1):
        extent = x.shape[axis]
        x = tf.gather(x, np.arange(-radius, extent + radius) % extent, axis=axis)
    if d <= 3:
        return _convolution(x, kernel)
    # TensorFlow convolves in at most three dimensions: the fourth is a sum of three-dimensional convolutions over its slices.
    slices = x.shape[1] - 2 * radius
    inner = [dim - 2 * radius for dim in x.shape[2:5]]
    total = 0
    for offset in range(2 * radius + 1):
        part = tf.reshape(x[:, offset : offset + slices], [-1, *x.shape[2:]])
        total += tf.reshape(_convolution(part, kernel[offset]), [-1, slices, *inner, kernel.shape[-1]])
    return total


def _convolution(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    # The format is the default one, but eager gradients in three dimensions fail if it is not given (TensorFlow 2.21).
    data_format = {1: "NWC", 2: "NHWC", 3: "NDHWC"}[len(x.shape) - 2]
    return tf.nn.convolution(x, kernel, padding="VALID", data_format=data_format)


NETWORKS = {"convolutional": ConvolutionalNetwork, "dense": DenseNetwork}


def build_network(component: Component, lattice: Lattice, outputs: int, rng: np.random.Generator) -> tf.Module:
    """The network that a configuration names. Raises `ConfigError`."""
    return build("network", NETWORKS, component, lattice, outputs, rng)
