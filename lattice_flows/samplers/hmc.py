"""Hybrid Monte Carlo (Duane et al. 1987) for comparison: many chains at once, on `tfp.mcmc`, in float64."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from pydantic import PositiveInt

from lattice_flows.actions import Action
from lattice_flows.samplers.adaptation import scaled
from lattice_flows.samplers.chain import Sampler

__all__ = ["HMC", "Info", "State"]

_LARGEST_DH = 3.0


class State(NamedTuple):
    """Where the chains stand.

    Attributes:
      phi: configurations `[chains, *shape]`.
      step_size: of leapfrog, a scalar.
      adaptations: of the step size so far, a scalar.
      results: of the last trajectory, as `tfp.mcmc` keeps them: the force need not be computed again.
    """

    phi: tf.Tensor
    step_size: tf.Tensor
    adaptations: tf.Tensor
    results: Any


class Info(NamedTuple):
    """A trajectory of all chains: accept decisions and the change of H, each `[chains]`."""

    accepted: tf.Tensor
    dh: tf.Tensor


class HMC(Sampler):
    """Leapfrog trajectories of a fixed number of steps with a Metropolis test.

    Momenta are unit normal, so one step changes the field by `step_size * momentum` at leading order.

    ```python
    hmc = lf.samplers.HMC(lf.ScalarPhi4(lf.Lattice((4, 4)), m2=-4.0, lam=8.0), chains=8, leapfrog_steps=5)
    state, info = hmc.step(hmc.init(seed=1), tf.constant([1, 2]))
    print(info.accepted)
    ```

    Args:
      action: the target is `exp(-S)`.
      chains: how many chains run at once.
      target_acceptance: the acceptance that the step size is adapted to during thermalisation.
      leapfrog_steps: per trajectory.
    """

    name: ClassVar[str] = "hmc"
    exact: ClassVar[Mapping[str, float]] = {"exp_minus_dh": 1.0}

    def __init__(self, action: Action, *, chains: int = 256, target_acceptance: float = 0.7, leapfrog_steps: PositiveInt = 10):
        super().__init__(action, chains=chains, target_acceptance=target_acceptance)
        self._leapfrog_steps = leapfrog_steps

    def init(self, seed: int) -> State:
        """Starts close to zero.

        Not at large fields: the quartic force there makes leapfrog unstable, and a chain can get stuck for ever.
        """
        return self.start(self.near_zero(seed), 0.1)

    def start(self, phi: tf.Tensor, step_size: float | tf.Tensor) -> State:
        """The state with these configurations `[chains, *shape]` and this step size."""
        step_size = tf.constant(step_size, tf.float64)
        return State(phi, step_size, tf.constant(0), self._kernel(step_size).bootstrap_results(phi))

    def step(self, state: State, seed: tf.Tensor) -> tuple[State, Info]:
        """One trajectory of every chain."""
        phi, results = self._kernel(state.step_size).one_step(state.phi, state.results, seed)
        return state._replace(phi=phi, results=results), Info(results.is_accepted, -results.log_accept_ratio)

    def adapt(self, state: State, info: Info) -> State:
        """Brings the mean of `min(1, exp(-dH))` closer to the target."""
        chance = tf.exp(tf.minimum(-info.dh, 0.0))
        acceptance = tf.reduce_mean(tf.where(tf.math.is_finite(chance), chance, 0.0))
        step_size = scaled(state.step_size, acceptance, self.target_acceptance, state.adaptations)
        return state._replace(step_size=step_size, adaptations=state.adaptations + 1)

    def diagnostics(self, state: State) -> dict[str, float]:
        """Step size and length of the trajectories."""
        step_size = float(state.step_size)
        return {"step_size": step_size, "trajectory_length": step_size * self._leapfrog_steps}

    def series(self, info: Info) -> dict[str, np.ndarray]:
        """`exp(-dH)`, whose mean must be 1.

        Trajectories with |dH| > 3 count as 1. By `P(-dH) = exp(-dH) P(dH)` that does not change the mean; without the cut, events
        too rare to be sampled would dominate the mean where leapfrog is unstable.
        """
        small = np.abs(info.dh) < _LARGEST_DH
        return {"exp_minus_dh": np.exp(-np.where(small, info.dh, 0.0))}

    def _kernel(self, step_size: tf.Tensor) -> tfp.mcmc.HamiltonianMonteCarlo:
        return tfp.mcmc.HamiltonianMonteCarlo(lambda phi: -self.action(phi), step_size, self._leapfrog_steps)
