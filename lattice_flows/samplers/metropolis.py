"""Local Metropolis for comparison: site by site, many chains at once, in float64.

Sites of one colour of the checkerboard do not interact, so all of them can be updated at the same time. The order differs from a
sweep site by site, which is allowed because every update satisfies detailed balance.
"""

from typing import ClassVar, NamedTuple

import tensorflow as tf

from lattice_flows.actions import Action
from lattice_flows.samplers.adaptation import scaled
from lattice_flows.samplers.chain import Sampler

__all__ = ["Info", "LocalMetropolis", "State"]


class State(NamedTuple):
    """Configurations `[chains, *shape]`, the width of the proposals, and how often it was adapted (scalars)."""

    phi: tf.Tensor
    width: tf.Tensor
    adaptations: tf.Tensor


class Info(NamedTuple):
    """A sweep of all chains: the share of accepted proposals, `[chains]`."""

    accepted: tf.Tensor


class LocalMetropolis(Sampler):
    """Sweeps that propose `phi_x + width u`, u uniform in [-1, 1], at every site (arXiv:1904.12072, sec. III).

    ```python
    metropolis = lf.samplers.LocalMetropolis(lf.ScalarPhi4(lf.Lattice((4, 4)), m2=-4.0, lam=8.0), chains=8)
    state, info = metropolis.step(metropolis.init(seed=1), tf.constant([1, 2]))
    print(info.accepted)
    ```

    Args:
      action: the target is `exp(-S)`; its `change_at_each_site` must depend on nearest neighbours alone.
      chains: how many chains run at once.
      target_acceptance: the acceptance that the width is adapted to during thermalisation.

    Raises:
      ValueError: an odd extent, an action without `change_at_each_site`, no chains, or a target_acceptance that is not between 0
        and 1.
    """

    name: ClassVar[str] = "metropolis"

    def __init__(self, action: Action, *, chains: int = 256, target_acceptance: float = 0.7):
        super().__init__(action, chains=chains, target_acceptance=target_acceptance)
        if type(action).change_at_each_site is Action.change_at_each_site:
            raise ValueError(action.without_local_changes())
        try:
            self._parity = action.lattice.parity()
        except ValueError as error:
            raise ValueError(f"{error}: hmc, fourier_hmc and tempering take odd extents") from None

    def init(self, seed: int) -> State:
        """Starts close to zero."""
        return State(self.near_zero(seed), tf.constant(0.5, tf.float64), tf.constant(0))

    def step(self, state: State, seed: tf.Tensor) -> tuple[State, Info]:
        """One sweep of every chain: all sites of one colour, then all of the other."""
        phi, accepted = state.phi, 0.0
        for colour in (0, 1):
            # float32 is fine enough, and twice as fast.
            uniform = tf.random.stateless_uniform([2, *phi.shape], tf.random.fold_in(seed, colour))
            move, threshold = tf.unstack(tf.cast(uniform, phi.dtype))
            proposal = phi + state.width * (2 * move - 1)
            change = self.action.change_at_each_site(phi, proposal)
            accept = tf.logical_and(self._parity == colour, tf.math.log1p(-threshold) < -change)
            phi = tf.where(accept, proposal, phi)
            accepted += tf.reduce_mean(tf.cast(accept, tf.float64), self.action.lattice.axes)
        return state._replace(phi=phi), Info(accepted)

    def adapt(self, state: State, info: Info) -> State:
        """Brings the share of accepted proposals closer to the target."""
        width = scaled(state.width, tf.reduce_mean(info.accepted), self.target_acceptance, state.adaptations)
        return state._replace(width=width, adaptations=state.adaptations + 1)

    def diagnostics(self, state: State) -> dict[str, float]:
        """The width of the proposals."""
        return {"width": float(state.width)}
