"""Clusters of signs for comparison: they move the longest waves at once, of many chains at a time.

With the moduli |phi_x| fixed, the signs are an Ising model with couplings of its own on every link,

    exp(-S) ~ prod_links exp(2 |phi_x phi_y| s_x s_y),    phi_x = |phi_x| s_x

A link between equal signs becomes a bond with probability `1 - exp(-4 |phi_x phi_y|)`. Sites that bonds connect are a cluster, and
each cluster takes a new sign, + or - with probability 1/2 (R. H. Swendsen, J.-S. Wang, Phys. Rev. Lett. 58 (1987) 86; the embedding
is that of R. C. Brower, P. Tamayo, Phys. Rev. Lett. 62 (1989) 1087). A sweep of local Metropolis changes the moduli.

All clusters of all chains are found at once: every site begins with its own number, and takes the smallest that a bond leads to.
"""

from typing import ClassVar

import tensorflow as tf

from lattice_flows.actions import Action
from lattice_flows.samplers.metropolis import Info, LocalMetropolis, State

__all__ = ["Cluster"]

_BONDS, _SIGNS = 2, 3  # folded into the seed of an update; the colours of the sweep are 0 and 1


class Cluster(LocalMetropolis):
    """A sweep of local Metropolis, and new signs for all clusters.

    ```python
    cluster = lf.samplers.Cluster(lf.ScalarPhi4(lf.Lattice((4, 4)), m2=-4.0, lam=8.0), chains=8)
    state, info = cluster.step(cluster.init(seed=1), tf.constant([1, 2]))
    print(info.accepted)
    ```

    Args:
      action: the target is `exp(-S)`; it must couple nearest neighbours by `-2 phi_x phi_y` and be even at every site otherwise.
      chains: how many chains run at once.
      target_acceptance: the acceptance that the width of the sweep is adapted to during thermalisation.

    Raises:
      ValueError: an odd extent, another action, no chains, or a target_acceptance that is not between 0 and 1.
    """

    name: ClassVar[str] = "cluster"

    def __init__(self, action: Action, *, chains: int = 256, target_acceptance: float = 0.7):
        if action.site_potential is None:
            raise ValueError(f"clusters of the action {action.name!r} are not known: use the sampler hmc")
        super().__init__(action, chains=chains, target_acceptance=target_acceptance)

    def step(self, state: State, seed: tf.Tensor) -> tuple[State, Info]:
        """One sweep of every chain, then new signs."""
        state, info = super().step(state, seed)
        return state._replace(phi=self.with_new_signs(state.phi, seed)), info

    def with_new_signs(self, phi: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """The fields `[chains, *shape]` with a new sign for every cluster."""
        uniform = tf.random.stateless_uniform([self.action.lattice.d, *phi.shape], tf.random.fold_in(seed, _BONDS))
        links = zip(self.action.lattice.axes, tf.unstack(tf.math.log1p(-tf.cast(uniform, phi.dtype))), strict=True)
        bonds = [-4 * phi * tf.roll(phi, -1, axis) < threshold for axis, threshold in links]
        heads = tf.random.stateless_uniform([self.chains, self.action.lattice.volume], tf.random.fold_in(seed, _SIGNS)) < 0.5
        clusters = tf.reshape(self.clusters(bonds), [self.chains, -1])
        flips = tf.reshape(tf.gather(heads, clusters, batch_dims=1), phi.shape)
        return tf.where(flips, -phi, phi)

    def clusters(self, bonds: list[tf.Tensor]) -> tf.Tensor:
        """The smallest number of a site in the cluster of every site, int32.

        Args:
          bonds: for each axis, whether a site is connected to the next one along it, bool `[chains, *shape]`.
        """
        shape, volume = bonds[0].shape, self.action.lattice.volume
        links = [(axis, bond, tf.roll(bond, 1, axis)) for axis, bond in zip(self.action.lattice.axes, bonds, strict=True)]

        def spread(numbers: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            before = numbers
            for axis, ahead, behind in links:
                numbers = tf.minimum(numbers, tf.where(ahead, tf.roll(numbers, -1, axis), volume))
                numbers = tf.minimum(numbers, tf.where(behind, tf.roll(numbers, 1, axis), volume))
            return numbers, tf.reduce_any(numbers != before)

        own = tf.broadcast_to(tf.reshape(tf.range(volume), shape[1:]), shape)
        return tf.while_loop(lambda _, changed: changed, spread, (own, tf.constant(True)))[0]
