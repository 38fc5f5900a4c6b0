"""Hybrid Monte Carlo (S. Duane et al., Phys. Lett. B 195 (1987) 216) for comparison: many chains on `tfp.mcmc`, in float64."""

from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from pydantic import PositiveInt

from lattice_flows.actions import Action
from lattice_flows.samplers.adaptation import mean_acceptance, scaled
from lattice_flows.samplers.hamiltonian import Hamiltonian, Info, varied
from lattice_flows.samplers.settings import check_at_least

__all__ = ["HMC", "State"]

_FLIP, _LENGTH = 1, 2  # folded into the seed of an update


class State(NamedTuple):
    """Where the chains stand.

    Attributes:
      phi: configurations `[chains, *shape]`.
      step_size: of leapfrog, a scalar, the mean over updates.
      adaptations: of the step size so far, a scalar.
      tunnelled: number of trajectories of each chain, after thermalisation, in which M changed its sign, `[chains]`.
      results: of the last trajectory, as `tfp.mcmc` keeps them: the force need not be computed again.
    """

    phi: tf.Tensor
    step_size: tf.Tensor
    adaptations: tf.Tensor
    tunnelled: tf.Tensor
    results: Any


class HMC(Hamiltonian):
    """Leapfrog trajectories of a fixed number of steps with a Metropolis test.

    Momenta are unit normal, so one step changes the field by `step_size * momentum` at leading order. The steps of each update are
    longer or shorter by a random factor between 0.8 and 1.2, the same for all chains, so that no mode is always back where it was
    (P. B. Mackenzie, Phys. Lett. B 226 (1989) 369).

    In the broken phase of an even action, trajectories rarely lead from one sign of M to the other. With `flip`, each is followed
    by `phi -> -phi` with probability 1/2, which is exact because S does not change.

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
      flip: whether to propose `phi -> -phi` after each trajectory.

    Raises:
      ValueError: `flip` for an action that is not even, no chains, no leapfrog_steps, or a target_acceptance that is not between 0
        and 1.
    """

    name: ClassVar[str] = "hmc"

    def __init__(
        self,
        action: Action,
        *,
        chains: int = 256,
        target_acceptance: float = 0.7,
        leapfrog_steps: PositiveInt = 10,
        flip: bool = False,
    ):
        super().__init__(action, chains=chains, target_acceptance=target_acceptance)
        check_at_least(1, leapfrog_steps=leapfrog_steps)
        if flip and not action.even:
            raise ValueError(f"flip needs S(-phi) = S(phi), which the action {action.name!r} does not have: leave it out")
        self._leapfrog_steps, self._flip = leapfrog_steps, flip

    def init(self, seed: int) -> State:
        """Starts close to zero.

        Not at large fields: the quartic force there makes leapfrog unstable, and a chain can get stuck for ever.
        """
        return self.start(self.near_zero(seed), 0.1)

    def start(self, phi: tf.Tensor, step_size: float | tf.Tensor) -> State:
        """The state with these configurations `[chains, *shape]` and this step size."""
        step_size = tf.constant(step_size, tf.float64)
        tunnelled = tf.zeros([len(phi)], tf.int64)
        return State(phi, step_size, tf.constant(0), tunnelled, self._kernel(step_size).bootstrap_results(phi))

    def step(self, state: State, seed: tf.Tensor) -> tuple[State, Info]:
        """One trajectory of every chain."""
        step_size = varied(state.step_size, tf.random.fold_in(seed, _LENGTH))
        phi, results = self._kernel(step_size).one_step(state.phi, state.results, seed)
        info = Info(results.is_accepted, -results.log_accept_ratio)
        tunnelled = state.tunnelled + tf.cast(self._positive(phi) != self._positive(state.phi), tf.int64)
        if self._flip:
            phi, results = self._flipped(phi, results, tf.random.fold_in(seed, _FLIP))
        return state._replace(phi=phi, tunnelled=tunnelled, results=results), info

    def adapt(self, state: State, info: Info) -> State:
        """Brings the mean of `min(1, exp(-dH))` closer to the target."""
        step_size = scaled(state.step_size, mean_acceptance(info.dh), self.target_acceptance, state.adaptations)
        return state._replace(step_size=step_size, adaptations=state.adaptations + 1, tunnelled=tf.zeros_like(state.tunnelled))

    def diagnostics(self, state: State) -> dict[str, float]:
        """Mean step size and length of trajectories, and how many of them changed the sign of M; proposed flips do not count."""
        step_size = float(state.step_size)
        found = {"step_size": step_size, "trajectory_length": step_size * self._leapfrog_steps}
        return found | ({"tunnelled": int(np.sum(state.tunnelled))} if self.action.even else {})

    def _positive(self, phi: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(phi, self.action.lattice.axes) > 0

    def _flipped(self, phi: tf.Tensor, results: Any, seed: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """phi with a random sign for each chain, which the gradient of S takes as well."""
        heads = tf.random.stateless_uniform([self.chains], seed) < 0.5
        sign = tf.reshape(tf.where(heads, tf.ones([], phi.dtype), -1.0), [-1, *(1,) * self.action.lattice.d])
        accepted = results.accepted_results
        gradients = [sign * gradient for gradient in accepted.grads_target_log_prob]
        return sign * phi, results._replace(accepted_results=accepted._replace(grads_target_log_prob=gradients))

    def _kernel(self, step_size: tf.Tensor) -> tfp.mcmc.HamiltonianMonteCarlo:
        return tfp.mcmc.HamiltonianMonteCarlo(lambda phi: -self.action(phi), step_size, self._leapfrog_steps)
