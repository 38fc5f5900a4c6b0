"""Local Metropolis for comparison: one site after the other, many chains at once, in float64.

Sites of one colour of the checkerboard do not feel each other, so that all of them can be updated at the same time: the order is
another one than from the first site to the last, which detailed balance of each update does not mind.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lattice_flows.actions import ScalarPhi4
from lattice_flows.seeds import sub_seed

__all__ = ["Info", "LocalMetropolis", "State"]

_SWEEPS_BETWEEN_ADAPTATIONS = 10


class State(NamedTuple):
    """Where the chains stand: configurations `[chains, *shape]` and the width of the proposals (scalar)."""

    phi: tf.Tensor
    width: float


class Info(NamedTuple):
    """The share of accepted proposals between n successive configurations of all chains, `[n]`."""

    acceptance: np.ndarray


class LocalMetropolis:
    """Sweeps that propose `phi_x + width u`, u uniform in [-1, 1], at every site (arXiv:1904.12072, sec. III).

    Example:

    ```python
    metropolis = LocalMetropolis(action, seed=1)
    state = metropolis.thermalise(metropolis.init(chains=256), sweeps=500, target_acceptance=0.7)
    for phi, info in metropolis.sample(state, configurations=1000, sweeps_between=10):
        ...                                                    # phi: [n, 256, *shape]
    ```

    Args:
      action: to sample `exp(-S)` of; its `change_at_each_site` must depend on nearest neighbours alone.
      seed: master seed.

    Raises:
      ValueError: an odd extent.
    """

    def __init__(self, action: ScalarPhi4, *, seed: int):
        self._action, self._seed = action, seed
        parity = action.lattice.parity()

        def sweep(phi, width, seed):
            accepted = tf.zeros([], tf.float64)
            for colour in (0, 1):
                # float32 is fine enough, and twice as fast.
                uniform = tf.random.stateless_uniform([2, *phi.shape], tf.random.fold_in(seed, colour))
                step, threshold = tf.unstack(tf.cast(uniform, phi.dtype))
                proposal = phi + width * (2 * step - 1)
                change = action.change_at_each_site(phi, proposal)
                accept = tf.logical_and(parity == colour, tf.math.log1p(-threshold) < -change)
                phi = tf.where(accept, proposal, phi)
                accepted += tf.reduce_mean(tf.cast(accept, tf.float64))
            return phi, accepted

        @tf.function(jit_compile=True)
        def run(phi, width, configurations, sweeps_between, seed):
            def to_next(index, phi, saved, acceptance):
                accepted = tf.zeros([], tf.float64)
                for_this = tf.random.fold_in(seed, index)

                def one(n, phi, accepted):
                    phi, share = sweep(phi, width, tf.random.fold_in(for_this, n))
                    return n + 1, phi, accepted + share

                _, phi, accepted = tf.while_loop(lambda n, *_: n < sweeps_between, one, (0, phi, accepted))
                return index + 1, phi, saved.write(index, phi), acceptance.write(index, accepted / sweeps_between)

            saved = tf.TensorArray(phi.dtype, configurations, element_shape=phi.shape)
            acceptance = tf.TensorArray(tf.float64, configurations, element_shape=[])
            start = (0, phi, saved, acceptance)
            _, _, saved, acceptance = tf.while_loop(lambda n, *_: n < configurations, to_next, start)
            return saved.stack(), acceptance.stack()

        self._run = run

    def init(self, chains: int, width: float = 0.5) -> State:
        """Starts every chain at another configuration close to zero."""
        rng = np.random.default_rng(sub_seed(self._seed, "metropolis start").view(np.uint32))
        return State(tf.constant(0.1 * rng.standard_normal((chains, *self._action.lattice.shape))), width)

    def thermalise(self, state: State, sweeps: int, target_acceptance: float) -> State:
        """Forgets the start, and adapts the width to an acceptance on the way."""
        phi, width = state
        for index in range(-(-sweeps // _SWEEPS_BETWEEN_ADAPTATIONS)):
            seed = sub_seed(self._seed, "metropolis thermalisation", index)
            phi, acceptance = self._run(phi, tf.constant(width, phi.dtype), 1, _SWEEPS_BETWEEN_ADAPTATIONS, seed)
            phi, width = phi[-1], width * np.exp(float(acceptance[-1]) - target_acceptance)
        return State(phi, float(width))

    def sample(
        self, state: State, configurations: int, sweeps_between: int = 1, piece: int = 100, purpose: str = "metropolis"
    ) -> Iterator[tuple[np.ndarray, Info]]:
        """Yields every `sweeps_between`-th configuration of all chains, `[n, chains, *shape]`, at most `piece` at a time.

        The width no longer changes, so the chain is an exact one. Random numbers follow from the master seed and the purpose.
        """
        phi, width = state.phi, tf.constant(state.width, state.phi.dtype)
        for index, start in enumerate(range(0, configurations, piece)):
            seed = sub_seed(self._seed, purpose, index)
            saved, acceptance = self._run(phi, width, min(piece, configurations - start), sweeps_between, seed)
            phi = saved[-1]
            yield saved.numpy(), Info(acceptance.numpy())
