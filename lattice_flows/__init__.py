"""Sampling lattice field theory with normalizing flows, in TensorFlow and TensorFlow Probability."""

__version__ = "0.1.0"
