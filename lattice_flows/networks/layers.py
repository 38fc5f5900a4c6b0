"""Activations and initial weights of layered networks."""

import math
from typing import Literal

import numpy as np
import tensorflow as tf

__all__ = ["ACTIVATIONS", "Activation", "uniform"]

Activation = Literal["leaky_relu", "tanh", "linear"]

ACTIVATIONS = {
    "leaky_relu": lambda x: tf.nn.leaky_relu(x, 0.01),
    "tanh": tf.tanh,
    "linear": tf.identity,
}


def uniform(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, name: str) -> tf.Variable:
    """Returns weights that start uniform in `+- 1 / sqrt(fan_in)`.

    That is how PyTorch starts them, and with it the public re-implementations of arXiv:1904.12072.
    """
    bound = 1 / math.sqrt(fan_in)
    return tf.Variable(rng.uniform(-bound, bound, shape).astype(np.float32), name=name)
