"""Fully connected networks."""

import itertools

import numpy as np
import tensorflow as tf

from lattice_flows.config import Sizes
from lattice_flows.lattice import Lattice
from lattice_flows.networks.conditioner import Parity
from lattice_flows.networks.layers import ACTIVATIONS, Activation, uniform
from lattice_flows.networks.sites import Sites

__all__ = ["DenseNetwork"]


class DenseNetwork(tf.Module):
    """Fully connected layers from all frozen to all active sites (arXiv:1904.12072, sec. III: two to six layers of 100 to 1024).

    Only the number of parities counts: the network has no symmetries.

    Args:
      lattice: the lattice.
      active: mask of the active sites, bool of the lattice's shape.
      parities: of the outputs.
      rng: draws the initial weights.
      hidden: sizes of the hidden layers.
      activation: of the hidden layers, "leaky_relu", "tanh" or "linear".
      final_activation: of the last layer.
    """

    symmetries: frozenset[str] = frozenset()

    def __init__(
        self,
        lattice: Lattice,
        active: np.ndarray,
        parities: tuple[Parity, ...],
        rng: np.random.Generator,
        *,
        hidden: Sizes = (128, 128),
        activation: Activation = "leaky_relu",
        final_activation: Activation = "linear",
    ):
        super().__init__(name="dense_network")
        self._outputs, self._active, self._frozen = len(parities), Sites(active), Sites(~active)
        sizes = (len(self._frozen), *hidden, len(parities) * len(self._active))
        self._layers = []
        for depth, (fan_in, size) in enumerate(itertools.pairwise(sizes)):
            kernel = uniform(rng, (fan_in, size), fan_in, f"dense_{depth}/kernel")
            self._layers.append((kernel, uniform(rng, (size,), fan_in, f"dense_{depth}/bias")))
        self._activations = [ACTIVATIONS[activation]] * len(hidden) + [ACTIVATIONS[final_activation]]

    def __call__(self, field: tf.Tensor) -> tuple[tf.Tensor, ...]:
        x = self._frozen.take(tf.cast(field, tf.float32))
        for (kernel, bias), activation in zip(self._layers, self._activations, strict=True):
            x = activation(x @ kernel + bias)
        return tuple(self._active.put(part) for part in tf.split(x, self._outputs, axis=1))
