"""What a coupling conditions on."""

from typing import Literal, Protocol

import tensorflow as tf

__all__ = ["Conditioner", "Parity"]

Parity = Literal["even", "odd"]


class Conditioner(Protocol):
    """A network from the frozen sites of a field to several fields on the active ones, in float32.

    A network is a `tf.Module` that is built as `Network(lattice, active, parities, rng, **settings)`: for one mask of active sites,
    bool of the lattice's shape; for a tuple of parities, one for each output; and with a NumPy generator for its initial weights.
    A parity says whether an output is to be "even" or "odd" under phi -> -phi; a network without this symmetry takes only the
    number of outputs from them. The keyword arguments are the network's keys in a configuration.

    Attributes:
      symmetries: those of `flows.Flow` that a coupling keeps with this network.
    """

    symmetries: frozenset[str]

    def __call__(self, field: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Maps `[batch, *shape]`, zero on active sites, to one tensor of that shape for each parity.

        What it gives on frozen sites is not used.
        """
