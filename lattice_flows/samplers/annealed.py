"""Annealed importance sampling between a flow and its target: independent proposals whose weights vary as little as one wants.

    log W = sum_{k=1}^n (1/n) w(z_{k-1}),    z_0 unit normal,    z_k from a trajectory that keeps exp(-|z|^2 / 2 + (k/n) w(z))

z are the unit normal numbers that prior and map make a field of, and w is its log weight, as in `flow_hmc`. Between the density q
of the flow (share 0 of w) and the target (share 1) lie the densities `q^(1 - k/n) exp(-(k/n) S)`. A proposal follows them: after
every rise of the share, which changes the log weight by the work, a trajectory of `flow_hmc` brings z towards equilibrium. Then

    < W > = Z,    < F(f(z_{n-1})) W > = Z <F>

exactly for every n, however far from equilibrium (R. M. Neal, Stat. Comput. 11 (2001) 125; C. Jarzynski, Phys. Rev. Lett. 78 (1997)
2690), so the weights serve for log Z, reweighting and independence Metropolis alike. `Var(log W)` is about `Var(w) / n` if every
trajectory forgets its start, so that n in proportion to the volume keeps the acceptance. n = 1 is plain importance sampling.

This is a stochastic normalizing flow (arXiv:2201.08862, arXiv:2201.13117), whose trajectories all come after the map. Cutting the
map itself in pieces needs an action for the field after each, and a flow trained as a whole fits none but its own density there,
whose force would need the map's inverse; in z, the same interpolation takes w and its gradient alone, turns are Fourier-accelerated
by the prior, and every flow can be annealed.
"""

from typing import Any, ClassVar

import tensorflow as tf
from pydantic import NonNegativeInt, PositiveInt

from lattice_flows.importance import WeightedSampler
from lattice_flows.samplers.flow_hmc import FlowHMC, State
from lattice_flows.samplers.independence import IndependenceMetropolis
from lattice_flows.samplers.settings import check_at_least
from lattice_flows.seeds import sub_seed

__all__ = ["Annealed"]


class Annealed(IndependenceMetropolis):
    """One chain that accepts or rejects annealed proposals, by the change of log W.

    Exact like every chain of weighted proposals: with the path (z_0, ..., z_{n-1}) as its variable, it is independence Metropolis.

    ```python
    action = lf.ScalarPhi4(lf.Lattice((4, 4)), m2=1.0, lam=0.5)
    proposals = lf.importance.WeightedSampler(lf.flows.affine(action.lattice, layers=2), action, batch_size=64, seed=1)
    sampler = lf.samplers.Annealed(proposals, temperatures=4)
    log_weight = sampler.proposals.log_weights(64, "example")
    print(lf.importance.log_z(log_weight))
    ```

    Args:
      proposals: knows the flow, with the integration steps that its weights need, the action, batch size and master seed.
      temperatures: n, the number of rises of the share; 1 for the flow's own proposals.
      panels: kicks of a trajectory; 0 for trajectories that propose other numbers of the flow, which take no gradient.
      kick_steps: of the integration that kicks use, of a continuous flow, as for `FlowHMC`.

    Raises:
      ValueError: as for `FlowHMC`, or no temperatures.
    """

    name: ClassVar[str] = "annealed"

    def __init__(
        self,
        proposals: WeightedSampler,
        *,
        temperatures: PositiveInt = 8,
        panels: NonNegativeInt = 2,
        kick_steps: PositiveInt | None = None,
    ):
        check_at_least(1, temperatures=temperatures)
        self._temperatures = temperatures
        self._moves = FlowHMC(proposals, chains=proposals.batch_size, panels=panels, kick_steps=kick_steps)
        self._compiled = tf.function(self._annealed, jit_compile=True)

        def draw(seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            state, work, _ = self._compiled(seed)
            return state.phi, work

        super().__init__(proposals.drawing(draw))

    def diagnostics(self, state: Any) -> dict[str, Any]:
        """Of one batch: how many trajectories are accepted, and how much half the integration's step changes w at their ends; of a
        continuous flow, the steps of w by part."""
        end, _, accepted = self._compiled(tf.constant(sub_seed(self.proposals.seed, "diagnostics")))
        moved, found = {"trajectory_acceptance": float(accepted)} if self._temperatures > 1 else {}, self._moves.diagnostics(end)
        return moved | {name: found[name] for name in ("integration_error", "integration_steps") if name in found}

    def _annealed(self, seed: tf.Tensor) -> tuple[State, tf.Tensor, tf.Tensor]:
        """Where the trajectories end, log W `[proposals]`, and the mean acceptance of the trajectories."""
        moves, n = self._moves, self._temperatures
        shape = (moves.chains, *moves.action.lattice.shape)
        start = moves.start(tf.random.stateless_normal(shape, tf.random.fold_in(seed, 0), dtype=tf.float64))
        start = moves.with_signs(start, tf.random.fold_in(seed, n))

        def rise(k: Any, state: Any, work: Any, accepted: Any) -> Any:
            state, info = moves.update(state, tf.random.fold_in(seed, k), tf.cast(k, tf.float64) / n)
            accepted += tf.reduce_mean(tf.cast(info.accepted, tf.float64)) / max(n - 1, 1)
            return k + 1, state, work + state.log_weight / n, accepted

        first = (1, start, start.log_weight / n, tf.constant(0.0, tf.float64))
        return tf.while_loop(lambda k, *_: k < n, rise, first)[1:]
