"""Clusters of signs for comparison: they move the longest waves at once, of many chains at a time.

With the moduli |phi_x| fixed, the signs are an Ising model with couplings of its own on every link,

    exp(-S) ~ prod_links exp(2 |phi_x phi_y| s_x s_y),    phi_x = |phi_x| s_x

A link between equal signs becomes a bond with probability `1 - exp(-4 |phi_x phi_y|)`. Sites that bonds connect are a cluster, and
each cluster takes a new sign, + or - with probability 1/2 (R. H. Swendsen, J.-S. Wang, Phys. Rev. Lett. 58 (1987) 86; the embedding
is that of R. C. Brower, P. Tamayo, Phys. Rev. Lett. 62 (1989) 1087). A sweep of local Metropolis changes the moduli.

The bonds of all chains are one graph, whose components SciPy finds on the host: however crooked a cluster is, its sites are visited
once.
"""

from functools import cached_property
from typing import ClassVar

import numpy as np
import tensorflow as tf
from scipy import sparse

from lattice_flows.actions import Action
from lattice_flows.samplers.metropolis import Info, LocalMetropolis, State

__all__ = ["Cluster"]

_SIGNS = 2  # folded into the seed of an update, as the colours 0 and 1 of the sweep are; bonds of the axes follow


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
    jit_compile: ClassVar[bool] = False

    def __init__(self, action: Action, *, chains: int = 256, target_acceptance: float = 0.7):
        if action.site_potential is None:
            raise ValueError(f"clusters of the action {action.name!r} are not known: use the sampler hmc")
        super().__init__(action, chains=chains, target_acceptance=target_acceptance)

    def step(self, state: State, seed: tf.Tensor) -> tuple[State, Info]:
        """One sweep of every chain, then new signs."""
        state, info = self._compiled_sweep(state, seed)
        return state._replace(phi=self.with_new_signs(state.phi, seed)), info

    @cached_property
    def _compiled_sweep(self) -> tf.types.experimental.PolymorphicFunction:
        return tf.function(super().step, jit_compile=True, autograph=False)

    def with_new_signs(self, phi: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """The fields `[chains, *shape]` with a new sign for every cluster."""
        flips = tf.numpy_function(self._flips, self._drawn(phi, seed), tf.bool, stateful=False)
        return tf.where(tf.ensure_shape(flips, phi.shape), -phi, phi)

    @tf.function(jit_compile=True)
    def _drawn(self, phi: tf.Tensor, seed: tf.Tensor) -> list[tf.Tensor]:
        """The new sign of every cluster, by its number, and the bonds as `clusters` takes them."""
        draws = [tf.random.stateless_uniform(phi.shape, tf.random.fold_in(seed, _SIGNS + n)) for n in range(phi.shape.rank)]
        bonds = [
            -4 * phi * tf.roll(phi, -1, axis) < tf.math.log1p(-tf.cast(draw, phi.dtype))
            for axis, draw in zip(self.action.lattice.axes, draws[1:], strict=True)
        ]
        return [draws[0] < 0.5, *bonds]

    def _flips(self, signs: np.ndarray, *bonds: np.ndarray) -> np.ndarray:
        return signs.ravel()[self.clusters(*bonds)]

    def clusters(self, *bonds: np.ndarray) -> np.ndarray:
        """The number of every site's cluster, int32 `[chains, *shape]`; clusters of different chains have different numbers.

        Args:
          bonds: for each axis, whether a site is connected to the next one along it, bool `[chains, *shape]`.
        """
        ahead = np.stack(bonds, axis=-1)
        ends, begins = self._next_sites[ahead], np.zeros(bonds[0].size + 1, np.int32)
        np.cumsum(np.sum(bonds, axis=0, dtype=np.int32), out=begins[1:])
        graph = sparse.csr_array((np.ones(len(ends)), ends, begins), shape=(bonds[0].size, bonds[0].size))
        return sparse.csgraph.connected_components(graph, directed=False)[1].reshape(bonds[0].shape)

    @cached_property
    def _next_sites(self) -> np.ndarray:
        """The number of the next site along each axis, int32 `[chains, *shape, d]`; sites of all chains are numbered through."""
        sites = np.arange(self.chains * self.action.lattice.volume, dtype=np.int32).reshape(self.chains, *self.action.lattice.shape)
        return np.stack([np.roll(sites, -1, axis) for axis in self.action.lattice.axes], axis=-1)
