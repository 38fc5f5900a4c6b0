"""What a coupling conditions on: networks from the frozen sites of a field to several fields on the active ones.

A network maps `[batch, *lattice_shape]`, zero on active sites, to a tuple of such tensors, in float32; what it gives on frozen
sites is not used. It is built for one mask of active sites and for a tuple of parities, one for each output: whether it should be
"even" or "odd" under phi -> -phi (a network that has no such symmetry takes only their number). Its `symmetries` are those of
`flows.Flow` that a coupling keeps with it.

Weights of the convolutional and the dense network start as in PyTorch, uniform in `+- 1 / sqrt(fan_in)`, which is what the public
re-implementations of arXiv:1904.12072 use.
"""

import itertools
import math
from typing import Literal

import numpy as np
import tensorflow as tf
from pydantic import PositiveFloat, PositiveInt

from lattice_flows.config import Numbers, Registry, Sizes
from lattice_flows.lattice import Lattice

__all__ = ["NETWORKS", "ConvolutionalNetwork", "DenseNetwork", "Parity", "PropagatorNetwork"]

ACTIVATIONS = {
    "leaky_relu": lambda x: tf.nn.leaky_relu(x, 0.01),
    "tanh": tf.tanh,
    "linear": tf.identity,
}
Activation = Literal["leaky_relu", "tanh", "linear"]
Parity = Literal["even", "odd"]


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, name: str) -> tf.Variable:
    bound = 1 / math.sqrt(fan_in)
    return tf.Variable(rng.uniform(-bound, bound, shape).astype(np.float32), name=name)


class _Sites:
    """Some sites of a lattice, packed into a vector, and back.

    Both ways are gathers, and each is the other's gradient: left to itself, TensorFlow would make that a scatter, which XLA runs
    site by site on a CPU.
    """

    def __init__(self, mask: np.ndarray):
        self._mask, self._inside = mask, np.flatnonzero(mask)
        # Where each site is in the packed vector behind one zero, which stands for all sites outside.
        self._place = np.where(mask.ravel(), np.cumsum(mask.ravel()), 0)

    def __len__(self) -> int:
        return len(self._inside)

    def take(self, field: tf.Tensor) -> tf.Tensor:
        """`[batch, *shape]` -> `[batch, sites]`."""

        @tf.custom_gradient
        def gather(x):
            return tf.gather(tf.reshape(x, [-1, self._mask.size]), self._inside, axis=1), self.put

        return gather(field)

    def put(self, values: tf.Tensor) -> tf.Tensor:
        """`[batch, sites]` -> `[batch, *shape]`, zero elsewhere."""

        @tf.custom_gradient
        def gather(x):
            field = tf.gather(tf.pad(x, [[0, 0], [1, 0]]), self._place, axis=1)
            return tf.reshape(field, [-1, *self._mask.shape]), self.take

        return gather(values)


class DenseNetwork(tf.Module):
    """Fully connected layers from all frozen to all active sites (arXiv:1904.12072, sec. III: two to six layers of 100 to 1024).

    Args:
      lattice: the lattice.
      active: mask of the active sites.
      parities: of the outputs.
      rng: draws the initial weights.
      hidden: sizes of the hidden layers.
      activation: after every hidden layer.
      final_activation: after the last layer.
    """

    symmetries: frozenset[str] = frozenset()

    def __init__(
        self,
        lattice: Lattice,
        active: np.ndarray,
        parities: tuple[Parity, ...],
        rng: np.random.Generator,
        *,
        hidden: Sizes,
        activation: Activation = "leaky_relu",
        final_activation: Activation = "linear",
    ):
        super().__init__(name="dense_network")
        self._outputs, self._active, self._frozen = len(parities), _Sites(active), _Sites(~active)
        sizes = (len(self._frozen), *hidden, len(parities) * len(self._active))
        self._layers = []
        for depth, (fan_in, size) in enumerate(itertools.pairwise(sizes)):
            kernel = _uniform(rng, (fan_in, size), fan_in, f"dense_{depth}/kernel")
            self._layers.append((kernel, _uniform(rng, (size,), fan_in, f"dense_{depth}/bias")))
        self._activations = [ACTIVATIONS[activation]] * len(hidden) + [ACTIVATIONS[final_activation]]

    def __call__(self, field: tf.Tensor) -> tuple[tf.Tensor, ...]:
        x = self._frozen.take(tf.cast(field, tf.float32))
        for (kernel, bias), activation in zip(self._layers, self._activations, strict=True):
            x = activation(x @ kernel + bias)
        return tuple(self._active.put(part) for part in tf.split(x, self._outputs, axis=1))


class ConvolutionalNetwork(tf.Module):
    """Periodic convolutions in 1 to 4 dimensions, covariant under translations.

    With `channels: [8, 8]`, `kernel_size: 3` and a final tanh this is the network of the tutorial arXiv:2101.08176 and of
    GomalizingFlow.jl.

    Args:
      lattice: the lattice.
      active: mask of the active sites.
      parities: of the outputs.
      rng: draws the initial weights.
      channels: of the hidden layers.
      kernel_size: odd, the same in every direction and layer.
      activation: after every hidden layer.
      final_activation: after the last layer.

    Raises:
      ValueError: a kernel that is even or wraps around the lattice more than once.
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
            kernel = _uniform(rng, (kernel_size,) * lattice.d + (inputs, size), fan_in, f"convolution_{depth}/kernel")
            self._layers.append((kernel, _uniform(rng, (size,), fan_in, f"convolution_{depth}/bias")))
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


class PropagatorNetwork(tf.Module):
    """Simple functions of single sites, carried to the active ones by a few kernels that are fixed.

        odd outputs:   t_x = sum_k sum_y K_k(x - y) [ a_k0 phi_y + sum_f a_kf tanh(w_f phi_y) ]
        even outputs:  s_x = B tanh[ (c + sum_k sum_y K_k(x - y) sum_f b_kf tanh(w_f phi_y)^2) / B ]

    The kernels K are the sum over nearest neighbours and free propagators of several masses: the local force, and long wavelengths
    at no cost. With some ten numbers a coupling, natural gradients are affordable.

    Args:
      lattice: the lattice.
      active: mask of the active sites.
      parities: of the outputs.
      rng: draws the initial weights.
      features: how many frequencies w_f; trained, from `spacing` times 1, 2, ... at the start.
      spacing: of the frequencies.
      propagators: bare masses squared of the propagators.
      bound: B, the largest size of even outputs.

    Raises:
      ValueError: a mass squared that is not positive.
    """

    symmetries: frozenset[str] = frozenset({"even translation", "rotation", "reflection", "sign"})

    def __init__(
        self,
        lattice: Lattice,
        active: np.ndarray,
        parities: tuple[Parity, ...],
        rng: np.random.Generator,
        *,
        features: PositiveInt = 2,
        spacing: PositiveFloat = 0.7,
        propagators: Numbers = (1.0, 0.1),
        bound: PositiveFloat = 1.5,
    ):
        super().__init__(name="propagator_network")
        self._active, self._frozen, self._bound = _Sites(active), _Sites(~active), bound
        kernels = [lattice.neighbours(), *(lattice.propagator(m2) for m2 in propagators)]
        kernels = [kernel[np.ix_(~active.ravel(), active.ravel())] for kernel in kernels]
        # All kernels as one matrix; each carries as much to a site as its neighbours do.
        self._kernels = np.concatenate([2 * lattice.d * k / np.max(k.sum(axis=0)) for k in kernels]).astype(np.float32)
        self._frequencies = tf.Variable(np.float32(spacing) * np.arange(1, features + 1, dtype=np.float32), name="frequencies")
        self._outputs = []
        for i, parity in enumerate(parities):
            shape = (len(kernels), features + (parity == "odd"))
            # Small, not zero: at zero the frequencies would get no gradient.
            weights = tf.Variable(rng.uniform(-0.01, 0.01, shape).astype(np.float32), name=f"output_{i}/weights")
            constant = tf.Variable(np.float32(0), name=f"output_{i}/constant") if parity == "even" else None
            self._outputs.append((weights, constant))

    def __call__(self, field: tf.Tensor) -> tuple[tf.Tensor, ...]:
        phi = tf.expand_dims(self._frozen.take(tf.cast(field, tf.float32)), 1)
        waves = tf.tanh(tf.expand_dims(self._frequencies, 1) * phi)
        odd, even = tf.concat([phi, waves], axis=1), waves * waves
        return tuple(
            self._active.put(
                self._carry(odd, weights)
                if constant is None
                else self._bound * tf.tanh((constant + self._carry(even, weights)) / self._bound)
            )
            for weights, constant in self._outputs
        )

    def _carry(self, features: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """`[batch, features, frozen sites]` -> `[batch, active sites]`."""
        # A sum of products is fused into one loop; a product of so small matrices is not worth a call.
        sources = tf.reduce_sum(tf.expand_dims(features, 1) * tf.expand_dims(weights, 2), axis=2)
        return tf.reshape(sources, [-1, self._kernels.shape[0]]) @ self._kernels


NETWORKS = Registry("network", {"convolutional": ConvolutionalNetwork, "dense": DenseNetwork, "propagator": PropagatorNetwork})
