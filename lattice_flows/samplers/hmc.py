"""Hybrid Monte Carlo (Duane et al. 1987) for comparison: many chains at once, on `tfp.mcmc`, in float64."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.actions import ScalarPhi4
from lattice_flows.seeds import sub_seed

__all__ = ["HMC", "Info", "State"]


class State(NamedTuple):
    """Where the chains stand: configurations `[chains, *shape]` and the leapfrog step size (scalar)."""

    phi: tf.Tensor
    step_size: tf.Tensor


class Info(NamedTuple):
    """n trajectories of all chains: accept decisions and the change of H, each `[n, chains]`."""

    accepted: np.ndarray
    dh: np.ndarray


class HMC:
    """Leapfrog trajectories of a fixed number of steps with a Metropolis test.

    Momenta are unit normal, so one step changes the field by `step_size * momentum` at leading order.

    Example:

    ```python
    hmc = HMC(action, leapfrog_steps=10, seed=1)
    state = hmc.thermalise(hmc.init(chains=256), trajectories=500, target_acceptance=0.8)
    for phi, info in hmc.sample(state, trajectories=1000):
        ...                                                    # phi: [n, 256, *shape]
    ```

    Args:
      action: to sample `exp(-S)` of.
      leapfrog_steps: per trajectory.
      seed: master seed.
    """

    def __init__(self, action: ScalarPhi4, *, leapfrog_steps: int, seed: int):
        self._action, self._leapfrog_steps, self._seed = action, leapfrog_steps, seed

        @tf.function(jit_compile=True)
        def adapt(phi, step_size, trajectories, target_acceptance, seed):
            kernel = tfp.mcmc.DualAveragingStepSizeAdaptation(
                self._kernel(step_size), num_adaptation_steps=trajectories, target_accept_prob=target_acceptance
            )
            last = tfp.mcmc.sample_chain(
                num_results=1,
                num_burnin_steps=trajectories,
                current_state=phi,
                kernel=kernel,
                trace_fn=lambda _, results: results.new_step_size,
                seed=seed,
            )
            return last.all_states[-1], last.trace[-1]

        @tf.function(jit_compile=True, reduce_retracing=True)
        def run(phi, step_size, trajectories, seed):
            return tfp.mcmc.sample_chain(
                num_results=trajectories,
                current_state=phi,
                kernel=self._kernel(step_size),
                trace_fn=lambda _, results: (results.is_accepted, results.log_accept_ratio),
                seed=seed,
            )

        self._adapt, self._run = adapt, run

    def _kernel(self, step_size: tf.Tensor) -> tfp.mcmc.HamiltonianMonteCarlo:
        return tfp.mcmc.HamiltonianMonteCarlo(lambda phi: -self._action(phi), step_size, self._leapfrog_steps)

    def init(self, chains: int, step_size: float = 0.1) -> State:
        """Starts every chain at another configuration close to zero.

        Not at large fields: the quartic force there makes leapfrog unstable, and a chain can stay stuck for ever.
        """
        rng = np.random.default_rng(sub_seed(self._seed, "hmc start").view(np.uint32))
        phi = 0.1 * rng.standard_normal((chains, *self._action.lattice.shape))
        return State(tf.constant(phi), tf.constant(step_size, tf.float64))

    def thermalise(self, state: State, trajectories: int, target_acceptance: float) -> State:
        """Forgets the start, and adapts the step size to an acceptance (dual averaging, arXiv:1111.4246) on the way."""
        seed = sub_seed(self._seed, "hmc thermalisation")
        return State(*self._adapt(state.phi, state.step_size, trajectories, target_acceptance, seed))

    def sample(self, state: State, trajectories: int, piece: int = 100) -> Iterator[tuple[np.ndarray, Info]]:
        """Yields every configuration of all chains, `[n, chains, *shape]`, at most `piece` trajectories at a time.

        The step size no longer changes, so the chain is an exact one.
        """
        phi = state.phi
        for index, start in enumerate(range(0, trajectories, piece)):
            seed = sub_seed(self._seed, "hmc", index)
            states, (accepted, log_ratio) = self._run(phi, state.step_size, min(piece, trajectories - start), seed)
            phi = states[-1]
            yield states.numpy(), Info(accepted.numpy(), -log_ratio.numpy())
