"""Periodic convolutions in 1 to 4 dimensions.

TensorFlow has convolutions in at most three dimensions, none of them periodic, and XLA runs those slowly on a CPU. Here a
convolution is one matrix product on blocks of sites.
"""

import itertools
import math

import numpy as np
import tensorflow as tf
from pydantic import PositiveInt

from lattice_flows.config import Sizes
from lattice_flows.lattice import Lattice
from lattice_flows.networks.conditioner import Parity
from lattice_flows.networks.layers import ACTIVATIONS, Activation, uniform

__all__ = ["ConvolutionalNetwork", "from_blocks", "periodic_convolution", "to_blocks"]


class ConvolutionalNetwork(tf.Module):
    """Periodic convolutions in 1 to 4 dimensions, covariant under translations.

    With `channels: [8, 8]`, `kernel_size: 3` and a final tanh this is the network of the tutorial arXiv:2101.08176 and of
    GomalizingFlow.jl.

    Args:
      lattice: the lattice.
      active: mask of the active sites, bool of the lattice's shape.
      parities: of the outputs.
      rng: draws the initial weights.
      channels: numbers of channels of the hidden layers.
      kernel_size: odd, the same in every direction and layer.
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
        kernel_size: PositiveInt = 3,
        activation: Activation = "leaky_relu",
        final_activation: Activation = "tanh",
    ):
        super().__init__(name="convolutional_network")
        if kernel_size % 2 == 0 or kernel_size // 2 > min(lattice.shape):
            raise ValueError(f"kernel_size must be odd and at most twice the extent plus one, got {kernel_size} on {lattice.shape}")
        sizes = (1, *channels, len(parities))
        self._layers = []
        for depth, (inputs, size) in enumerate(itertools.pairwise(sizes)):
            fan_in = inputs * kernel_size**lattice.d
            kernel = uniform(rng, (kernel_size,) * lattice.d + (inputs, size), fan_in, f"convolution_{depth}/kernel")
            self._layers.append((kernel, uniform(rng, (size,), fan_in, f"convolution_{depth}/bias")))
        self._activations = [ACTIVATIONS[activation]] * len(channels) + [ACTIVATIONS[final_activation]]

    def __call__(self, field: tf.Tensor) -> tuple[tf.Tensor, ...]:
        x = to_blocks(tf.cast(field, tf.float32)[tf.newaxis])
        for (kernel, bias), activation in zip(self._layers, self._activations, strict=True):
            y = periodic_convolution(x, kernel)
            # Element-wise operations of TensorFlow take at most eight axes; in four dimensions y has ten.
            flat = tf.reshape(y, [math.prod(y.shape[: len(field.shape) - 1]), bias.shape[0], -1])
            x = tf.reshape(activation(flat + bias[:, tf.newaxis]), [*y.shape[:-1], -1])
        return tuple(tf.unstack(from_blocks(x), axis=0))


def to_blocks(x: tf.Tensor) -> tf.Tensor:
    """`[channels, batch, *shape]` -> `[*block, channels, *blocks, batch]`, the form in which `periodic_convolution` is fast.

    A block has two sites in every direction of even extent and one in the others. The batch comes last, so that whatever is cut
    out of the lattice is contiguous in memory.
    """
    channels, _, *shape = x.shape
    d, block = len(shape), [2 - extent % 2 for extent in shape]
    x = tf.reshape(x, [channels, -1, *itertools.chain(*((extent // n, n) for extent, n in zip(shape, block, strict=True)))])
    return tf.transpose(x, [*range(3, 2 * d + 2, 2), 0, *range(2, 2 * d + 2, 2), 1])


def from_blocks(x: tf.Tensor) -> tf.Tensor:
    """The inverse of `to_blocks`."""
    d = len(x.shape) // 2 - 1
    shape = [n * blocks for n, blocks in zip(x.shape[:d], x.shape[d + 1 : -1], strict=True)]
    order = [d, 2 * d + 1, *itertools.chain(*((d + 1 + axis, axis) for axis in range(d)))]
    return tf.reshape(tf.transpose(x, order), [x.shape[d], -1, *shape])


def periodic_convolution(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Cross-correlation on a periodic lattice, `y_n = sum_r kernel_r x_{n + r}`, as one matrix product.

    What a block's sites see is a patch, the block and the kernel's radius around it. Along the first half of the axes the patches
    of x are gathered before the product, along the others the product gives what a block contributes to the patch around it, and
    these are added up after it: less is copied than if whole patches were gathered, and the matrix is square.

    Args:
      x: `[*block, inputs, *blocks, batch]`, see `to_blocks`.
      kernel: `[k, ..., k, inputs, outputs]`, k odd.

    Returns:
      `[*block, outputs, *blocks, batch]`.
    """
    d = len(kernel.shape) - 2
    block, blocks, radius = list(x.shape[:d]), list(x.shape[d + 1 : -1]), kernel.shape[0] // 2
    gathered, scattered = list(range((d + 1) // 2)), list(range((d + 1) // 2, d))
    # [*patch, *block, inputs, outputs]: the kernel as every site of a block has it in the patch.
    kernel = tf.pad(tf.reverse(kernel, scattered), [[0, n - 1] for n in block] + [[0, 0], [0, 0]])
    for axis, n in enumerate(block):
        kernel = tf.stack([tf.roll(kernel, site, axis) for site in range(n)], axis=d + axis)
    # Where an axis is gathered, the patch is the product's input and the block its output; where it is scattered, the other way.
    of_input = [*gathered, *(d + axis for axis in scattered), 2 * d]
    of_output = [*(d + axis for axis in gathered), *scattered, 2 * d + 1]
    matrix = tf.transpose(kernel, of_output + of_input)
    sizes = matrix.shape[: d + 1]
    for axis in gathered:
        x = _gather_patches(x, axis, d + 1 + axis, radius)
    y = tf.reshape(matrix, [math.prod(sizes), -1]) @ tf.reshape(x, [math.prod(x.shape[: d + 1]), -1])
    y = tf.reshape(y, [*sizes, *blocks, -1])
    for axis in scattered:
        y = _scatter_patches(y, axis, d + 1 + axis, block[axis], radius)
    return y


def _gather_patches(x: tf.Tensor, axis: int, blocks_axis: int, radius: int) -> tf.Tensor:
    """Replaces the n sites of a block along an axis by the n + 2 radius sites of the patch around it."""
    n = x.shape[axis]
    sites = tf.split(x, n, axis)
    return tf.concat([tf.roll(sites[place % n], -(place // n), blocks_axis) for place in range(-radius, n + radius)], axis)


def _scatter_patches(y: tf.Tensor, axis: int, blocks_axis: int, n: int, radius: int) -> tf.Tensor:
    """Adds the n + 2 radius sites of the patches along an axis to the n sites of the blocks they belong to."""
    sites: list = [[] for _ in range(n)]
    for place, part in zip(range(-radius, n + radius), tf.split(y, n + 2 * radius, axis), strict=True):
        sites[place % n].append(tf.roll(part, place // n, blocks_axis))
    return tf.concat([tf.add_n(parts) for parts in sites], axis)
