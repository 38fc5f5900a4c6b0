"""Drawing fields of a flow with their log weights, in compiled batches."""

import collections
import copy
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from lattice_flows.actions import Action
from lattice_flows.flows import Flow
from lattice_flows.importance.estimators import integration_error
from lattice_flows.resources import drawn_at_once
from lattice_flows.seeds import sub_seed

__all__ = ["INTEGRATION_TOLERANCE", "WeightedSampler"]

INTEGRATION_TOLERANCE = 1e-3  # largest mean change of log weights when the step is halved: far below what causes rejections
_AHEAD = 2  # batches
# Half the step is useless if it leaves more than this share of the error, which is rounding if it is below so many tolerances.
_LEAST_GAIN, _ROUNDING = 0.5, 10.0
_ORDER = 4  # of integrators, or more: with which power of the step the error falls at least


class WeightedSampler:
    """Draws fields with their log weights, in compiled batches of fixed size, on the (first) device that holds the flow.

    Samplers of one flow with the same action and batch size share one compiled function, so the sampler that judged a training is
    already compiled when the Markov chain begins. A sampler keeps the integration steps that the flow had when it was made.

    Example:

    ```python
    action = lf.ScalarPhi4(lf.Lattice((4, 4)), m2=1.0, lam=0.5)
    flow = lf.flows.affine(action.lattice, layers=2)
    sampler = lf.importance.WeightedSampler(flow, action, batch_size=64, seed=1)
    log_weight = sampler.log_weights(100, "example")
    ```

    Args:
      flow: the flow to draw from.
      action: `phi [batch, *shape] -> [batch]`.
      batch_size: fields in a compiled call, see `resources.drawn_at_once`.
      seed: master seed; batch i of a purpose is always the same.

    Attributes:
      flow: the flow, with the integration steps it had when the sampler was made.
      action: the target of the weights.
      batch_size: fields in a compiled call.
      seed: as given.
      integration_error: see `integration_error`; zero for an exact flow, and until `integrated` has found it.
    """

    def __init__(self, flow: Flow, action: Action, batch_size: int, seed: int):
        self.flow, self.action, self.seed = copy.copy(flow), action, seed
        self.batch_size = batch_size = drawn_at_once(batch_size, flow.lattice.shape)
        self.integration_error = {"mean": 0.0, "largest": 0.0}
        self._device = flow.device  # not wherever TensorFlow would place the computation
        compiled = _COMPILED[self.flow] = _COMPILED.setdefault(flow, {})
        if (key := (action, batch_size, tuple(flow.integration_steps.items()))) not in compiled:
            compiled[key] = _compiled_draw(flow, action, batch_size)
        self._draw = compiled[key]

    def batches(self, n: int, purpose: str, start: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields `phi [b, *shape]` and `log_weight [b]` until n fields are drawn; the last batch is cut to fit.

        Batches are drawn ahead, so the weights of the flow must not change while one iterates.

        Args:
          n: number of fields.
          purpose: of the random numbers.
          start: number of the first batch.
        """
        # Drawn ahead in threads: XLA computes a small batch on one core, and the caller needs time for each, too.
        with ThreadPoolExecutor(_AHEAD) as pool:
            coming: collections.deque[Future[tuple[np.ndarray, np.ndarray]]] = collections.deque()
            for number in range(batches := -(-n // self.batch_size)):
                while len(coming) < _AHEAD and number + len(coming) < batches:
                    coming.append(pool.submit(self._batch, purpose, start + number + len(coming)))
                phi, log_weight = coming.popleft().result()
                wanted = n - number * self.batch_size
                yield phi[:wanted], log_weight[:wanted]

    def _batch(self, purpose: str, index: int) -> tuple[np.ndarray, np.ndarray]:
        with tf.device(self._device):
            phi, log_weight = self._draw(tf.constant(sub_seed(self.seed, purpose, index)))
        return phi.numpy(), log_weight.numpy()

    def log_weights(self, n: int, purpose: str, start: int = 0) -> np.ndarray:
        """Returns the log weights `[n]` of `batches`."""
        return np.concatenate([log_weight for _, log_weight in self.batches(n, purpose, start)])

    def drawing(self, draw: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]) -> "WeightedSampler":
        """Returns a sampler of other fields that are made with the same flow, and of their weights, from the same seeds.

        Args:
          draw: of a stateless seed `[2]`: fields `[batch_size, *shape]` and their log weights `[batch_size]`, float64.
        """
        other = copy.copy(self)
        other._draw = draw
        return other

    def refined(self, slightly: bool = False) -> "WeightedSampler | None":
        """Returns a sampler of the same fields, integrated in more steps as by `Flow.refined`; None if the flow is exact."""
        finer = self.flow.refined(slightly)
        if finer is None:
            return None
        # The variables are the same, so what is compiled for one serves the other.
        _COMPILED[finer] = _COMPILED[self.flow]
        return WeightedSampler(finer, self.action, self.batch_size, self.seed)

    def integrated(self, tolerance: float, samples: int, info: Callable[[str], None]) -> "WeightedSampler":
        """Integrates in more steps until log weights are accurate, or as accurate as rounding allows.

        There are twice as many each time, or only a few more where these should be enough.

        Args:
          tolerance: largest mean change of log weights when the step is halved once more.
          samples: number of samples that this mean is taken over.
          info: receives a line for every change of the step.

        Returns:
          the first sampler that is accurate, or the one where half the step no longer helps; this one, for an exact flow.
        """
        sampler, before, useless = self, np.inf, 0
        while (finer := sampler.refined()) is not None:
            sampler.integration_error = integration_error(*(each.log_weights(samples, "integration") for each in (sampler, finer)))
            if (mean := sampler.integration_error["mean"]) <= tolerance:
                break
            useless += mean > _LEAST_GAIN * before
            if useless > 1 or (useless and mean < _ROUNDING * tolerance):
                info(f"the integration error of log weights is {mean:.1e} on average, and half the step is no better")
                break
            before, change = mean, "halving the step"
            if (more := sampler.refined(slightly=True)) is not None:
                own, steps = (each.flow.integration_steps for each in (sampler, more))
                ratio = max(own[name] / steps[name] for name in own)
                if 0.5 < ratio and mean * ratio**_ORDER <= tolerance:
                    before, finer, change = np.inf, more, "taking a few more steps"
            info(f"the integration error of log weights is {mean:.1e} on average: {change}")
            sampler = finer
        return sampler


# By flow, then by action, batch size and integration steps. The values must not refer to the flow itself, or the flow would never
# be freed.
_COMPILED: weakref.WeakKeyDictionary[Flow, dict[tuple[Any, ...], Callable[..., Any]]] = weakref.WeakKeyDictionary()


def _compiled_draw(flow: Flow, action: Action, batch_size: int) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """A function of a seed that draws fields and their log weights from a flow as it is now; its weights may change later on."""
    flow = copy.copy(flow)
    dtype = flow.density_dtype

    @tf.function(jit_compile=True)
    def draw(seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        phi, log_q = flow.sample_and_log_prob(batch_size, seed, dtype)
        return phi, -action(tf.cast(phi, tf.float64)) - log_q

    return draw
