"""Log weights `w = -S(phi) - log q(phi)` of flow samples, and what follows from them alone. Everything in float64."""

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from scipy.special import logsumexp

from lattice_flows.flows import Flow
from lattice_flows.seeds import sub_seed

__all__ = ["WeightedSampler", "effective_sample_size", "expected_acceptance", "integration_error", "log_z"]


class WeightedSampler:
    """Draws fields with their log weights, in compiled batches of fixed size, on the (first) device that holds the flow.

    Args:
      flow: what is drawn from.
      action: `phi [batch, *shape] -> [batch]`.
      batch_size: fields in a compiled call.
      seed: master seed; batch i of a purpose is always the same.

    Attributes:
      flow: what is drawn from.
      action: what the weights are for.
      batch_size: fields in a compiled call.
      integration_error: see `integration_error`; zero for an exact flow, and until `integrated` has found it.
    """

    def __init__(self, flow: Flow, action: Callable[[tf.Tensor], tf.Tensor], batch_size: int, seed: int):
        self.flow, self.action, self.batch_size = flow, action, batch_size
        self.integration_error = {"mean": 0.0, "largest": 0.0}
        self._seed = seed
        # An integration is less exact than float32, and takes half the time in it.
        dtype = tf.float64 if flow.exact else tf.float32
        # Where the weights are, not wherever TensorFlow would put the computation by itself.
        self._device = next((variable.device for variable in flow.variables), None)

        @tf.function(jit_compile=True)
        def draw(seed):
            phi, log_q = flow.sample_and_log_prob(batch_size, seed, dtype)
            return phi, -action(tf.cast(phi, tf.float64)) - log_q

        self._draw = draw

    def batches(self, n: int, purpose: str, start: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields `phi [b, *shape]` and `log_weight [b]` until n fields are drawn; the last batch is cut to fit."""
        for index in range(start, start + -(-n // self.batch_size)):
            with tf.device(self._device):
                phi, log_weight = self._draw(tf.constant(sub_seed(self._seed, purpose, index)))
            wanted = min(self.batch_size, n - (index - start) * self.batch_size)
            yield phi.numpy()[:wanted], log_weight.numpy()[:wanted]

    def log_weights(self, n: int, purpose: str, start: int = 0) -> np.ndarray:
        """The log weights `[n]` of `batches`."""
        return np.concatenate([log_weight for _, log_weight in self.batches(n, purpose, start)])

    def refined(self) -> "WeightedSampler | None":
        """The same samples, integrated with half the step; None if the flow is exact."""
        finer = self.flow.refined()
        return finer and WeightedSampler(finer, self.action, self.batch_size, self._seed)

    def integrated(self, tolerance: float, samples: int, info: Callable[[str], None]) -> "WeightedSampler":
        """The first in a series of samplers, each with half the step of the one before, whose log weights are right.

        Args:
          tolerance: of the mean change of log weights when the step is halved once more.
          samples: that it is found from.
          info: is told of every halving.
        """
        sampler = self
        while (finer := sampler.refined()) is not None:
            sampler.integration_error = integration_error(*(each.log_weights(samples, "integration") for each in (sampler, finer)))
            if (mean := sampler.integration_error["mean"]) <= tolerance:
                break
            info(f"the integration is wrong by {mean:.1e} in log weights on average: halving its step")
            sampler = finer
        return sampler


def integration_error(log_weight: np.ndarray, finer: np.ndarray) -> dict[str, float]:
    """How much log weights change, in absolute value, when the step of the integration is halved: `mean` and `largest`."""
    change = np.abs(log_weight - finer)
    return {"mean": float(np.mean(change)), "largest": float(np.max(change))}


def effective_sample_size(log_weight: np.ndarray) -> float:
    """Kish's effective sample size per sample, `(sum e^w)^2 / (N sum e^{2w})`, between 1/N and 1."""
    return float(np.exp(2 * logsumexp(log_weight) - logsumexp(2 * log_weight)) / len(log_weight))


def log_z(log_weight: np.ndarray) -> tuple[float, float]:
    """Estimate of log Z, `logsumexp(w) - log N`, and its standard error to first order in 1/N."""
    n = len(log_weight)
    value = logsumexp(log_weight) - np.log(n)
    return float(value), float(np.sqrt(max(1 / effective_sample_size(log_weight) - 1, 0.0) / n))


def expected_acceptance(log_weight: np.ndarray) -> float:
    """Mean acceptance of independence Metropolis in equilibrium, from independent samples of the flow.

    The average of `min(1, e^{w' - w})` over proposals w' (uniform over the samples) and current states w (with probability
    proportional to e^w), over all pairs. With sorted weights the sum over pairs is a running sum.
    """
    weight = np.exp(np.sort(log_weight) - np.max(log_weight))
    n = len(weight)
    smaller = np.concatenate([[0.0], np.cumsum(weight)[:-1]])
    larger_or_equal = n - np.arange(n)
    return float(np.sum(weight * larger_or_equal + smaller) / (n * np.sum(weight)))
