"""One master seed, and a named sub-seed for every purpose. There is no global random state anywhere in the package."""

import hashlib

import numpy as np

__all__ = ["generator", "sub_seed"]


def sub_seed(seed: int, purpose: str, index: int = 0) -> np.ndarray:
    """The stateless seed of one use of random numbers.

    Args:
      seed: the run's master seed.
      purpose: "initialisation", "training", "evaluation", "chain", "hmc", ...
      index: counts uses of the same purpose, such as training steps.

    Returns:
      int32 array of shape [2], as TensorFlow's stateless generators take it. Different arguments give unrelated streams.
    """
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return np.frombuffer(digest[:8], dtype=np.int32).copy()


def generator(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """NumPy's random numbers for one use, from the seed that `sub_seed` gives for the same arguments."""
    return np.random.default_rng(sub_seed(seed, purpose, index).view(np.uint32))
