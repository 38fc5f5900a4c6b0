"""Replica exchange, or parallel tempering, for barriers that a global flip does not cure: HMC on a ladder of scaled actions.

Replica k has the density `exp(-beta_k S)`, with `1 = beta_0 > beta_1 > ...`; where beta is small, barriers of S are low. After a
trajectory of each replica, neighbours exchange their configurations with probability `min(1, exp((beta_k - beta_l) (S_k - S_l)))`,
which leaves the product of all densities as it is (R. H. Swendsen, J.-S. Wang, Phys. Rev. Lett. 57 (1986) 2607; K. Hukushima,
K. Nemoto, J. Phys. Soc. Jpn. 65 (1996) 1604, eq. 5).
"""

from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from pydantic import PositiveInt

from lattice_flows.actions import Action
from lattice_flows.samplers.adaptation import mean_acceptance, scaled
from lattice_flows.samplers.hamiltonian import Hamiltonian, varied
from lattice_flows.samplers.settings import check_at_least

__all__ = ["Info", "State", "Tempering"]

_PARITY, _EXCHANGE, _LENGTH = 1, 2, 3  # folded into the seed of an update


class State(NamedTuple):
    """Where the replicas of every chain stand.

    Attributes:
      phi: configurations of the target, `[chains, *shape]`.
      others: those of the other replicas, `[replicas - 1, chains, *shape]`.
      step_sizes: of leapfrog, `[replicas]`, the means over updates.
      adaptations: of the step sizes so far, a scalar.
      proposed: exchanges of each pair of neighbours that all chains proposed after thermalisation, `[replicas - 1]`.
      exchanged: those that were accepted, `[replicas - 1]`.
    """

    phi: tf.Tensor
    others: tf.Tensor
    step_sizes: tf.Tensor
    adaptations: tf.Tensor
    proposed: tf.Tensor
    exchanged: tf.Tensor


class Info(NamedTuple):
    """An update: whether the target moved, the change of H in its trajectory, both `[chains]`, and acceptances `[replicas]`."""

    accepted: tf.Tensor
    dh: tf.Tensor
    acceptances: tf.Tensor


class Tempering(Hamiltonian):
    """HMC of several replicas for each chain, which exchange their configurations; those of the target are kept.

    The lengths of trajectories vary as those of `HMC` do, by one factor for all replicas and chains.

    ```python
    tempering = lf.samplers.Tempering(lf.ScalarPhi4(lf.Lattice((4, 4)), m2=-4.0, lam=2.0), chains=8, replicas=4)
    state, info = tempering.step(tempering.init(seed=1), tf.constant([1, 2]))
    print(info.accepted)
    ```

    Args:
      action: the target is `exp(-S)`.
      chains: how many chains run at once.
      target_acceptance: the acceptance that the step size of each replica is adapted to during thermalisation.
      leapfrog_steps: per trajectory.
      replicas: of each chain, the target among them.
      smallest_beta: the factor of S in the last replica; those between follow a geometric series.

    Raises:
      ValueError: fewer than two replicas, no chains, no leapfrog_steps, or a smallest_beta or target_acceptance that is not between
        0 and 1.
    """

    name: ClassVar[str] = "tempering"

    def __init__(
        self,
        action: Action,
        *,
        chains: int = 256,
        target_acceptance: float = 0.7,
        leapfrog_steps: PositiveInt = 10,
        replicas: PositiveInt = 6,
        smallest_beta: float = 0.2,
    ):
        super().__init__(action, chains=chains, target_acceptance=target_acceptance)
        check_at_least(1, leapfrog_steps=leapfrog_steps)
        if replicas < 2:
            raise ValueError(f"tempering needs 2 replicas or more, not {replicas}: hmc samples the target alone")
        if not 0 < smallest_beta < 1:
            raise ValueError(
                f"smallest_beta must lie between 0 and 1, not {smallest_beta}: it scales the action of the last replica"
            )
        self._leapfrog_steps, self._beta = leapfrog_steps, np.geomspace(1.0, smallest_beta, replicas)

    def init(self, seed: int) -> State:
        """Starts close to zero."""
        phi, replicas = self.near_zero(seed), len(self._beta)
        none = tf.zeros([replicas - 1], tf.int64)
        others = tf.repeat(phi[tf.newaxis], replicas - 1, axis=0)
        return State(phi, others, tf.fill([replicas], tf.constant(0.1, tf.float64)), tf.constant(0), none, none)

    def step(self, state: State, seed: tf.Tensor) -> tuple[State, Info]:
        """One trajectory of every replica, then one proposal to exchange the configurations of every other pair of neighbours."""
        phi, dh, accepted, action = self._trajectories(state, seed)
        swap, proposed = self._exchanges(action, seed)
        none = tf.zeros_like(swap[:1])
        from_next, from_last = (self._of_fields(mask) for mask in (tf.concat([swap, none], 0), tf.concat([none, swap], 0)))
        phi = tf.where(from_next, tf.roll(phi, -1, 0), tf.where(from_last, tf.roll(phi, 1, 0), phi))
        state = state._replace(
            phi=phi[0],
            others=phi[1:],
            proposed=state.proposed + self.chains * tf.cast(proposed, tf.int64),
            exchanged=state.exchanged + tf.reduce_sum(tf.cast(swap, tf.int64), 1),
        )
        return state, Info(accepted[0] | swap[0], dh[0], mean_acceptance(dh))

    def adapt(self, state: State, info: Info) -> State:
        """Brings the mean of `min(1, exp(-dH))` of each replica closer to the target."""
        step_sizes = scaled(state.step_sizes, info.acceptances, self.target_acceptance, state.adaptations)
        none = tf.zeros_like(state.proposed)
        return state._replace(step_sizes=step_sizes, adaptations=state.adaptations + 1, proposed=none, exchanged=none)

    def diagnostics(self, state: State) -> dict[str, Any]:
        """Mean step size and length of the target's trajectories, and the acceptance of exchanges between neighbours."""
        step_size = float(state.step_sizes[0])
        exchanges = np.asarray(state.exchanged) / np.maximum(state.proposed, 1)
        return {
            "step_size": step_size,
            "trajectory_length": step_size * self._leapfrog_steps,
            "smallest_exchange_acceptance": float(exchanges.min()),
            "exchange_acceptances": [round(share, 4) for share in exchanges.tolist()],
        }

    def _trajectories(self, state: State, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """After a trajectory: fields `[replicas, chains, *shape]`, and `[replicas, chains]` the changes of H, decisions, S."""
        shape, (replicas, chains) = self.action.lattice.shape, (len(self._beta), self.chains)
        phi = tf.reshape(tf.concat([state.phi[tf.newaxis], state.others], 0), [-1, *shape])
        beta = tf.repeat(tf.constant(self._beta), chains)
        step_sizes = varied(state.step_sizes, tf.random.fold_in(seed, _LENGTH))
        step_size = tf.reshape(tf.repeat(step_sizes, chains), [-1, *(1,) * len(shape)])
        kernel = tfp.mcmc.HamiltonianMonteCarlo(lambda phi: -beta * self.action(phi), step_size, self._leapfrog_steps)
        phi, results = kernel.one_step(phi, kernel.bootstrap_results(phi), seed)
        action = -results.accepted_results.target_log_prob / beta
        each = (-results.log_accept_ratio, results.is_accepted, action)
        return tf.reshape(phi, [replicas, chains, *shape]), *(tf.reshape(values, [replicas, chains]) for values in each)

    def _exchanges(self, action: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Whether each pair of neighbours exchanges, bool `[replicas - 1, chains]`, and whether it could, `[replicas - 1]`."""
        pairs = len(self._beta) - 1
        parity = tf.random.stateless_uniform([], tf.random.fold_in(seed, _PARITY), maxval=2, dtype=tf.int32)
        proposed = tf.range(pairs) % 2 == parity
        uniform = tf.random.stateless_uniform([pairs, self.chains], tf.random.fold_in(seed, _EXCHANGE), dtype=tf.float64)
        log_ratio = tf.constant(self._beta[:-1] - self._beta[1:])[:, tf.newaxis] * (action[:-1] - action[1:])
        return proposed[:, tf.newaxis] & (tf.math.log(uniform) < log_ratio), proposed

    def _of_fields(self, mask: tf.Tensor) -> tf.Tensor:
        return tf.reshape(mask, [*mask.shape, *(1,) * self.action.lattice.d])
