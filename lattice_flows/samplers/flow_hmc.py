"""Hybrid Monte Carlo on the latent variable of a flow, and pCN: what flows propose where whole fields are rarely accepted.

    phi = f(z),    exp(-S(phi)) dphi = exp(-U(z)) dz,    U(z) = |z|^2 / 2 - w(z)

z are the unit normal numbers that prior and map make a field of, and w is its log weight: constant for a perfect flow, for which U
is that of independent oscillators. An update draws momenta p, unit normal too, and moves (z, p) by the Hamiltonian

    H = |z|^2 / 2 + |p|^2 / 2 - w(z)

for a quarter of a turn on average, or less, in `panels` equal parts. Each turns (z, p) by theta / 2, kicks p by `theta dw/dz` and
turns again:

    turn by a:    z' = z cos a + p sin a,    p' = p cos a - z sin a,    theta = pi / (2 panels) or less on average

The angle varies from one update to the next, as the lengths of other trajectories do: where the flow is twice as wide as the
target, a quarter of a turn takes z to -z. The end is accepted with probability `min(1, exp(-dH))`. Turns are exact for the Gaussian
part of H, so that kicks, and errors, are those of w alone (A. Beskos et al., Stoch. Proc. Appl. 121 (2011) 2201, have this
splitting). The gradient of any function of z may kick: the map stays reversible and keeps volumes. Kicks therefore integrate a
continuous flow in few steps; dH needs w itself.

Without kicks, z' = p after a quarter of a turn and `dH = w - w'`: independence Metropolis. Without kicks and by a smaller angle, it
is the preconditioned Crank-Nicolson proposal (pCN; S. L. Cotter et al., Stat. Sci. 28 (2013) 424), which needs no gradient.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from pydantic import NonNegativeInt, PositiveInt

from lattice_flows.actions import Action
from lattice_flows.flows import Flow
from lattice_flows.importance import WeightedSampler, integration_error
from lattice_flows.priors.whitening import whitening
from lattice_flows.samplers.adaptation import mean_acceptance, scaled
from lattice_flows.samplers.decisions import accepts, chosen
from lattice_flows.samplers.hamiltonian import Hamiltonian, Info, varied
from lattice_flows.samplers.settings import check_at_least
from lattice_flows.seeds import generator

__all__ = ["PCN", "FlowHMC", "State"]

_QUARTER_TURN = np.pi / 2
_SIGN, _LENGTH = 2, 3  # folded into the seed of an update
_FEWEST = 4  # kick steps, unless told
_CANDIDATES = 9  # for the start of a chain


class State(NamedTuple):
    """Where the chains stand.

    Attributes:
      phi: configurations `[chains, *shape]`.
      z: the numbers that they are made of, of the same shape.
      log_weight: w, `[chains]`.
      angle: by which an update turns (z, p); of an update with kicks, the mean. A scalar.
      adaptations: of the angle so far, a scalar.
    """

    phi: tf.Tensor
    z: tf.Tensor
    log_weight: tf.Tensor
    angle: tf.Tensor
    adaptations: tf.Tensor


class FlowHMC(Hamiltonian):
    """Trajectories of a flow's latent variable: turns, which the Gaussian part of H needs, and kicks by the rest.

    Chains of a flow for both peaks of the broken phase, made of one for a single peak (`symmetrized`), choose a sign at random in
    every update, which S and w do not depend on.

    ```python
    action = lf.ScalarPhi4(lf.Lattice((4, 4)), m2=1.0, lam=0.5)
    proposals = lf.importance.WeightedSampler(lf.flows.affine(action.lattice, layers=2), action, batch_size=64, seed=1)
    sampler = lf.samplers.FlowHMC(proposals, chains=8, panels=2)
    state, info = sampler.step(sampler.init(seed=1), tf.constant([1, 2]))
    print(info.accepted)
    ```

    Args:
      proposals: knows the flow, with the integration steps that its weights need, and the action.
      chains: how many chains run at once.
      target_acceptance: where a quarter of a turn on average has a smaller one, updates turn by less: the angle is adapted to it
        during thermalisation, unless there are no panels. Far from the flow, where w is steep, long kicks are never accepted.
      panels: kicks of an update; 0 for independence Metropolis.
      kick_steps: of the integration that kicks use, of a continuous flow, but no more than its weights need; None for half of
        these, and at least four. With too few, the change of H is large or not a number, and nothing is accepted.

    Raises:
      ValueError: the flow's prior is not an image of unit normal numbers, or has both signs while flow or action are not even; no
        chains, a target_acceptance that is not between 0 and 1, fewer than 0 panels, or no kick_steps.
    """

    name: ClassVar[str] = "flow_hmc"
    needs_flow: ClassVar[bool] = True

    def __init__(
        self,
        proposals: WeightedSampler,
        *,
        chains: int = 256,
        target_acceptance: float = 0.7,
        panels: NonNegativeInt = 3,
        kick_steps: PositiveInt | None = None,
    ):
        super().__init__(proposals.action, chains=chains, target_acceptance=target_acceptance)
        check_at_least(0, panels=panels)
        check_at_least(1, kick_steps=kick_steps)
        coarse = copy.copy(flow := proposals.flow)
        self._steps = flow.integration_steps
        self._kick_steps = {name: min(kick_steps or max(-(-steps // 2), _FEWEST), steps) for name, steps in self._steps.items()}
        coarse.set_integration_steps(self._kick_steps)
        self._panels, self._both_signs = panels, _has_both_signs(flow)
        if self._both_signs and not (flow.is_odd and self.action.even):
            raise ValueError(f"{self.name} cannot draw signs for a map that is not odd or an action that is not even")
        self._fields, self._coarse = (_fields_of(each, self.action) for each in (flow, coarse))
        finer = flow.refined()
        self._finer = finer and _fields_of(finer, self.action)

    def init(self, seed: int) -> State:
        """Starts with a sample of the flow for every chain: of nine, the one whose log weight is the median.

        Not with any one: where that is far out, the slope of w can be so large that no kick is ever accepted. And not close to
        z = 0, from where a good flow of a large lattice has a long way to go.
        """
        rng = generator(seed, f"{self.name} start")
        start = tf.function(self.start, jit_compile=True)
        states = [start(tf.constant(rng.standard_normal((self.chains, *self.action.lattice.shape)))) for _ in range(_CANDIDATES)]
        median = np.argsort([state.log_weight for state in states], axis=0)[_CANDIDATES // 2]
        return start(tf.stack([states[n].z[chain] for chain, n in enumerate(median)]))

    def restored(self, leaves: Sequence[np.ndarray], seed: int) -> State:
        """The state with these leaves; no sample is drawn for it."""
        return State(*leaves)

    def start(self, z: tf.Tensor) -> State:
        """The state at these numbers `[chains, *shape]`, with updates of a quarter of a turn on average."""
        phi, log_weight = self._fields(z)
        return State(phi, z, log_weight, tf.constant(_QUARTER_TURN, tf.float64), tf.constant(0))

    @property
    def advice(self) -> str:
        """What to do where trajectories diverge."""
        if not self._panels:
            return "train the flow longer, or use another one"
        return f"use more than {self._panels} panels" + "".join(f", or more than {n} kick_steps" for n in self._kick_steps.values())

    def step(self, state: State, seed: tf.Tensor) -> tuple[State, Info]:
        """One trajectory of every chain."""
        return self.update(state, seed)

    def update(self, state: State, seed: tf.Tensor, share: float | tf.Tensor = 1.0) -> tuple[State, Info]:
        """One trajectory of every chain for the density `exp(-|z|^2 / 2 + share w)`, of which the share 1 has the target.

        Args:
          state: of all chains.
          seed: stateless, `[2]`.
          share: above 0, float64.
        """
        before = tf.random.stateless_normal(state.z.shape, tf.random.fold_in(seed, 0), dtype=state.z.dtype)
        angle = varied(state.angle, tf.random.fold_in(seed, _LENGTH)) if self._panels else state.angle
        z, after = self._trajectory(state.z, before, angle, share)
        phi, log_weight = self._fields(z)
        energy = tf.reduce_sum(z * z - state.z * state.z + after * after - before * before, self.action.lattice.axes) / 2
        dh = energy - share * (log_weight - state.log_weight)
        accepted = accepts(dh, tf.random.fold_in(seed, 1))
        phi, z, log_weight = chosen(accepted, (phi, z, log_weight), (state.phi, state.z, state.log_weight))
        state = state._replace(phi=phi, z=z, log_weight=log_weight)
        return self.with_signs(state, tf.random.fold_in(seed, _SIGN)), Info(accepted, dh)

    def with_signs(self, state: State, seed: tf.Tensor) -> State:
        """The state with a random sign of every field, if the flow has both: z says nothing about it."""
        if not self._both_signs:
            return state
        heads = tf.random.stateless_uniform([self.chains], seed) < 0.5
        return state._replace(phi=chosen(heads, state.phi, -state.phi))

    def adapt(self, state: State, info: Info) -> State:
        """Brings the mean of `min(1, exp(-dH))` closer to the target, by the angle."""
        return self._adapted(state, info) if self._panels else state

    def series(self, info: Info) -> dict[str, np.ndarray]:
        """As of other trajectories, and whether one ended where the flow's weight is zero: no chain goes there. One that kicks have
        thrown out of all numbers, whose dH is none, is merely rejected."""
        return super().series(info) | {"non_finite_ends": np.isposinf(info.dh).astype(float)}

    def diagnostics(self, state: State) -> dict[str, Any]:
        """The angle, and what half the step changes in the log weights of chains; of a continuous flow, the steps of kicks, and of
        weights by part."""
        error = {"mean": 0.0, "largest": 0.0}
        if self._finer:
            finer = tf.function(self._finer, jit_compile=True)(state.z)[1]
            error = integration_error(np.asarray(state.log_weight), finer.numpy())
        kicks = {"kick_steps": max(self._kick_steps.values())} if self._kick_steps and self._panels else {}
        steps = {"integration_steps": self._steps} if self._steps else {}
        return {"angle": float(state.angle), **kicks, "integration_error": error, **steps}

    def _adapted(self, state: State, info: Info) -> State:
        angle = scaled(state.angle, mean_acceptance(info.dh), self.target_acceptance, state.adaptations)
        return state._replace(angle=tf.minimum(angle, _QUARTER_TURN), adaptations=state.adaptations + 1)

    def _trajectory(
        self, z: tf.Tensor, momenta: tf.Tensor, angle: tf.Tensor, share: float | tf.Tensor = 1.0
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """z and momenta after all panels."""
        if not self._panels:
            return _turned(z, momenta, angle)
        part = angle / self._panels

        def panel(n: Any, z: Any, momenta: Any) -> Any:
            z, momenta = _turned(z, momenta, part / 2)
            _, slope = tfp.math.value_and_gradient(lambda z: self._coarse(z)[1], z)
            return n + 1, *_turned(z, momenta + part * share * slope, part / 2)

        return tf.while_loop(lambda n, *_: n < self._panels, panel, (0, z, momenta))[1:]


class PCN(FlowHMC):
    """Proposals that turn a flow's latent variable by an angle, adapted to an acceptance; no gradient is needed.

    ```python
    action = lf.ScalarPhi4(lf.Lattice((4, 4)), m2=1.0, lam=0.5)
    proposals = lf.importance.WeightedSampler(lf.flows.affine(action.lattice, layers=2), action, batch_size=64, seed=1)
    sampler = lf.samplers.PCN(proposals, chains=8)
    state, info = sampler.step(sampler.init(seed=1), tf.constant([1, 2]))
    ```

    Args:
      proposals: knows the flow, with the integration steps that its weights need, and the action.
      chains: how many chains run at once.
      target_acceptance: the acceptance that the angle is adapted to during thermalisation. It is exceeded where the angle reaches a
        quarter of a turn, and proposals are independent.

    Raises:
      ValueError: as for `FlowHMC`.
    """

    name: ClassVar[str] = "pcn"

    def __init__(self, proposals: WeightedSampler, *, chains: int = 256, target_acceptance: float = 0.7):
        super().__init__(proposals, chains=chains, target_acceptance=target_acceptance, panels=0)

    def adapt(self, state: State, info: Info) -> State:
        """Brings the mean of `min(1, exp(w' - w))` closer to the target, by the angle."""
        return self._adapted(state, info)


def _fields_of(flow: Flow, action: Action) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """A function from unit normal numbers `[n, *shape]` to fields of the flow and their log weights `[n]`, float64.

    Weights that are not finite are zero: any other field is better.

    Of a prior with both signs, fields have the sign of the distribution that it is made of.
    """
    white = whitening(flow.prior.distribution if _has_both_signs(flow) else flow.prior)

    def fields(z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        phi, log_q = flow.push_forward(tf.cast(white.forward(z), flow.density_dtype))
        phi = tf.cast(phi, tf.float64)
        log_weight = -action(phi) - log_q
        return phi, tf.where(tf.math.is_finite(log_weight), log_weight, -np.inf)

    return fields


def _has_both_signs(flow: Flow) -> bool:
    return getattr(flow.prior, "both_signs", False)


def _turned(z: tf.Tensor, momenta: tf.Tensor, angle: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    cosine, sine = tf.cos(angle), tf.sin(angle)
    return z * cosine + momenta * sine, momenta * cosine - z * sine
