"""What samplers share that propose the end of a trajectory and accept it by the change of its energy."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from lattice_flows.errors import UserError
from lattice_flows.samplers.chain import ENOUGH_TO_CHECK, Sampler

__all__ = ["Hamiltonian", "Info", "exp_minus_dh", "varied"]

_LARGEST_DH = 3.0
_HOPELESS = 10.0
_SPREAD = 0.2  # of the lengths of trajectories, about their mean


class Info(NamedTuple):
    """A trajectory of all chains: accept decisions and the change of H, each `[chains]`."""

    accepted: tf.Tensor
    dh: tf.Tensor


class Hamiltonian(Sampler):
    """A sampler whose infos hold `dh`, the change of H in a trajectory: the mean of `exp(-dH)` must be 1."""

    exact: ClassVar[Mapping[str, float]] = {"exp_minus_dh": 1.0}

    def check(self, info: Any) -> None:
        """Raises `UserError` if none of many trajectories is accepted, and dH of each is large or not a number."""
        if np.size(info.dh) >= ENOUGH_TO_CHECK and not np.any(info.accepted) and not np.any(info.dh < _HOPELESS):
            raise UserError(
                f"{self.name} cannot move: of the first {np.size(info.dh)} trajectories after thermalisation none was accepted, "
                f"with {_numbers(info.dh)}; {self.advice}"
            )

    @property
    def advice(self) -> str:
        """What to do where trajectories diverge."""
        return "let it thermalise longer, so that the step size can adapt"

    def series(self, info: Any) -> dict[str, np.ndarray]:
        """`exp(-dH)` of the trajectories of the target, whose mean must be 1."""
        return {"exp_minus_dh": exp_minus_dh(info.dh)}


def _numbers(dh: np.ndarray) -> str:
    return f"a dH of {dh[np.isfinite(dh)].min():.0f} or more" if np.any(np.isfinite(dh)) else "a dH that is not a number"


def exp_minus_dh(dh: np.ndarray) -> np.ndarray:
    """`exp(-dH)` of trajectories, whose mean must be 1.

    If the chain is in equilibrium, and trajectories turn back and keep volumes, `P(-dH) = exp(-dH) P(dH)`, hence
    `< exp(-dH) > = 1` (M. Creutz, Phys. Rev. D 38 (1988) 1228). Those with |dH| > 3 count as 1, which by the former does not change
    the mean; without the cut, events too rare to be sampled would dominate it where leapfrog is unstable.
    """
    return np.exp(-np.where(np.abs(dh) < _LARGEST_DH, dh, 0.0))


def varied(step_size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The step sizes of one update: all of them times one factor, uniform in [0.8, 1.2] (P. B. Mackenzie, Phys. Lett. B 226 (1989)
    369).

    A mode of frequency omega is back where it was, up to its sign, after trajectories of the length `k pi / omega`. If all have the
    same length, the modes near that hardly change. The factor knows nothing of the fields, so the target stays exact.

    Args:
      step_size: one or several, whose mean over updates this is.
      seed: stateless, `[2]`, used for nothing else.
    """
    return step_size * tf.random.stateless_uniform([], seed, 1 - _SPREAD, 1 + _SPREAD, step_size.dtype)
