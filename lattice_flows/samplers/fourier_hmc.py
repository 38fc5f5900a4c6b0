"""Fourier-accelerated hybrid Monte Carlo: a mass for every momentum, so that all modes of the field move at the same pace.

    H = S(phi) + sum_p |pi_p|^2 / (2 m_p),    m_p = (phat^2 + M^2) / G,    pi_p = V^(-1/2) sum_x exp(-i p x) pi_x

With equal masses a trajectory must be as long as the slowest mode needs, in steps as short as the fastest one allows: its cost
grows with the correlation length. If `<|phi_p|^2> = G / (phat^2 + M^2)`, as in the free field, the masses above make every mode an
oscillator of frequency 1 (G. G. Batrouni et al., Phys. Rev. D 32 (1985) 2736; S. Duane et al., Phys. Lett. B 176 (1986) 143).

Far from the free field, a zero mode that is as fast as the modes that dress it would feel the bare curvature of the action instead,
`<d^2 S / dphi_0^2> = <(dS / dphi_0)^2>`, which is larger. M^2 is therefore the geometric mean of that of the
propagator and G times this curvature; for the free field both are the same. Only thermalisation measures G and M^2, from the modes
of the smallest momenta, so the chain is a plain HMC afterwards.

A step takes two Fourier transforms besides the force.
"""

from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from pydantic import PositiveFloat, PositiveInt

from lattice_flows.actions import Action
from lattice_flows.fourier import hartley
from lattice_flows.lattice import Lattice
from lattice_flows.samplers.adaptation import gain, mean_acceptance, scaled
from lattice_flows.samplers.decisions import accepts, chosen
from lattice_flows.samplers.hamiltonian import Hamiltonian, Info, varied
from lattice_flows.samplers.settings import check_at_least

__all__ = ["FourierHMC", "State"]

_LENGTH = 2  # folded into the seed of an update
_QUARTER_TURN = np.pi / 2
_SMALLEST_M2 = 0.1  # in units of the smallest phat^2 above zero
# Along the last axes, as many as there are.
_TRANSFORMS = [tf.signal.rfft, tf.signal.rfft2d, tf.signal.rfft3d]
_INVERSES = [tf.signal.irfft, tf.signal.irfft2d, tf.signal.irfft3d]


class State(NamedTuple):
    """Where the chains stand.

    Attributes:
      phi: configurations `[chains, *shape]`.
      action: theirs, `[chains]`.
      force: its derivative at each site, `[chains, *shape]`.
      step_size: of leapfrog, a scalar.
      adaptations: of step size and masses so far, a scalar.
      spectrum: `<|phi_p|^2>` at p = 0 and at the smallest momenta above, and `<(dS / dphi_0)^2>`: the masses follow, `[3]`.
    """

    phi: tf.Tensor
    action: tf.Tensor
    force: tf.Tensor
    step_size: tf.Tensor
    adaptations: tf.Tensor
    spectrum: tf.Tensor


class FourierHMC(Hamiltonian):
    """Leapfrog trajectories with a mass for each momentum, and a Metropolis test.

    Trajectories are at most a quarter of a turn, `pi / 2`, long on average: that takes a Gaussian field to an independent one, and
    twice as much would only change its sign. Their lengths vary as those of `HMC` do. In the broken phase `<|phi_0|^2>` is that of
    both peaks, and the propagator's M no mass of fluctuations: a tenth of the smallest phat^2 is then its limit. Chains do not
    tunnel: see the flips of `HMC`.

    ```python
    hmc = lf.samplers.FourierHMC(lf.ScalarPhi4(lf.Lattice((4, 4)), m2=-4.0, lam=8.0), chains=8, leapfrog_steps=4)
    state, info = hmc.step(hmc.init(seed=1), tf.constant([1, 2]))
    print(info.accepted)
    ```

    Args:
      action: the target is `exp(-S)`.
      chains: how many chains run at once.
      target_acceptance: the acceptance that the step size is adapted to during thermalisation. It is exceeded where trajectories
        reach a quarter of a turn: fewer steps are then enough.
      leapfrog_steps: per trajectory.
      mass_squared: M^2; None for the one that thermalisation measures.

    Raises:
      ValueError: no chains, no leapfrog_steps, a target_acceptance that is not between 0 and 1, or a mass_squared that is not
        positive.
    """

    name: ClassVar[str] = "fourier_hmc"

    def __init__(
        self,
        action: Action,
        *,
        chains: int = 256,
        target_acceptance: float = 0.7,
        leapfrog_steps: PositiveInt = 10,
        mass_squared: PositiveFloat | None = None,
    ):
        super().__init__(action, chains=chains, target_acceptance=target_acceptance)
        check_at_least(1, leapfrog_steps=leapfrog_steps)
        if mass_squared is not None and not mass_squared > 0:
            raise ValueError(f"mass_squared must be positive, not {mass_squared!r}: leave it out to have it measured")
        lattice, self._leapfrog_steps, self._mass_squared = action.lattice, leapfrog_steps, mass_squared
        self._momentum_squared = lattice.momentum_squared()[..., : lattice.shape[-1] // 2 + 1]
        self._lowest, self._smallest = _lowest_modes(lattice), 4 * np.sin(np.pi / max(lattice.shape)) ** 2

    def init(self, seed: int) -> State:
        """Starts close to zero, as `HMC` does."""
        phi = self.near_zero(seed)
        action, force = self._action_and_force(phi)
        return State(phi, action, force, tf.constant(0.1, tf.float64), tf.constant(0), self._spectrum(phi, force))

    def step(self, state: State, seed: tf.Tensor) -> tuple[State, Info]:
        """One trajectory of every chain."""
        masses = self._masses(state.spectrum)
        normal = tf.random.stateless_normal(state.phi.shape, tf.random.fold_in(seed, 0), dtype=tf.float64)
        varying = state._replace(step_size=varied(state.step_size, tf.random.fold_in(seed, _LENGTH)))
        (phi, action, force), momenta = self._trajectory(varying, self._filtered(normal, tf.sqrt(masses)), masses)
        kinetic = momenta * self._filtered(momenta, 1 / masses) - normal * normal
        dh = action - state.action + tf.reduce_sum(kinetic, self.action.lattice.axes) / 2
        accepted = accepts(dh, tf.random.fold_in(seed, 1))
        phi, action, force = chosen(accepted, (phi, action, force), (state.phi, state.action, state.force))
        return state._replace(phi=phi, action=action, force=force), Info(accepted, dh)

    def adapt(self, state: State, info: Info) -> State:
        """Brings the mean of `min(1, exp(-dH))` closer to the target, and the masses closer to the measured spectrum."""
        step_size = scaled(state.step_size, mean_acceptance(info.dh), self.target_acceptance, state.adaptations)
        spectrum = state.spectrum + gain(state.adaptations, tf.float64) * (self._spectrum(state.phi, state.force) - state.spectrum)
        step_size = tf.minimum(step_size, _QUARTER_TURN / self._leapfrog_steps)
        return state._replace(step_size=step_size, adaptations=state.adaptations + 1, spectrum=spectrum)

    def diagnostics(self, state: State) -> dict[str, float]:
        """Mean step size and length of the trajectories, and M^2 of the masses."""
        step_size, (_, m2) = float(state.step_size), self._propagator(tf.constant(state.spectrum))
        return {"step_size": step_size, "trajectory_length": step_size * self._leapfrog_steps, "momentum_m2": float(m2)}

    def _trajectory(
        self, state: State, momenta: tf.Tensor, masses: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
        """Leapfrog from a state: configurations at the end with their action and force, and the momenta there."""
        half = state.step_size / 2

        def leap(n: Any, phi: Any, _action: Any, force: Any, momenta: Any) -> Any:
            momenta -= half * force
            phi += 2 * half * self._filtered(momenta, 1 / masses)
            action, force = self._action_and_force(phi)
            return n + 1, phi, action, force, momenta - half * force

        start = (0, state.phi, state.action, state.force, momenta)
        _, *fields, momenta = tf.while_loop(lambda n, *_: n < self._leapfrog_steps, leap, start)
        return tuple(fields), momenta

    def _action_and_force(self, phi: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tfp.math.value_and_gradient(self.action, phi)

    def _filtered(self, values: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
        """Fields `[chains, *shape]` with each mode times a factor, `[*shape]` with half of the last extent and one more."""
        shape = self.action.lattice.shape
        last = min(len(shape), len(_TRANSFORMS))
        modes = _TRANSFORMS[last - 1](values)
        if len(shape) == last:
            modes *= tf.cast(factors, modes.dtype)
        else:  # in four dimensions, the first axis is transformed by itself
            modes = tf.signal.fft(tf.einsum("nabcd->nbcda", modes)) * tf.cast(tf.einsum("abcd->bcda", factors), modes.dtype)
            modes = tf.einsum("nbcda->nabcd", tf.signal.ifft(modes))
        return _INVERSES[last - 1](modes, shape[-last:])

    def _spectrum(self, phi: tf.Tensor, force: tf.Tensor) -> tf.Tensor:
        """What `State` has of this name, as the mean over chains."""
        fields, forces = (tf.tensordot(each, self._lowest, [self.action.lattice.axes] * 2) ** 2 for each in (phi, force))
        return tf.stack([tf.reduce_mean(each) for each in (fields[:, 0], fields[:, 1:], forces[:, 0])])

    def _propagator(self, spectrum: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """G and M^2, so that the modes of the smallest momenta above zero have frequency 1."""
        zero, above, curvature = tf.unstack(spectrum)
        if self._mass_squared is not None:
            m2 = tf.constant(self._mass_squared, spectrum.dtype)
        else:
            largest = tf.constant(4.0 * self.action.lattice.d, spectrum.dtype)
            m2 = tf.math.divide_no_nan(self._smallest * above, tf.maximum(zero - above, 0.0))
            m2 = tf.where(zero > above, tf.clip_by_value(m2, _SMALLEST_M2 * self._smallest, largest), largest)
            bare = curvature * above * (self._smallest + m2)
            m2 = tf.minimum(tf.sqrt(m2 * bare), largest)
        return above * (self._smallest + m2), m2

    def _masses(self, spectrum: tf.Tensor) -> tf.Tensor:
        """Of every momentum whose last component is at most pi, `[*shape]` with half of the last extent and one more."""
        size, m2 = self._propagator(spectrum)
        return (self._momentum_squared + m2) / size


def _lowest_modes(lattice: Lattice) -> np.ndarray:
    """`V^(-1/2) cas(p x)` for p = 0, and for the smallest momenta above it, `[1 + 2 axes, *shape]`."""
    extent, ones = max(lattice.shape), np.full(lattice.shape, lattice.volume**-0.5)
    waves = np.sqrt(extent) * hartley((extent,))[[1, -1]]
    along = [np.moveaxis(np.moveaxis(ones, axis - 1, -1) * wave, -1, axis - 1) for axis in lattice.time_axes for wave in waves]
    return np.stack([ones, *along])
