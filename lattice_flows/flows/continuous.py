"""Continuous flows."""

from typing import Annotated, Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from lattice_flows.bijectors import EquivariantODE
from lattice_flows.config import Component, Numbers
from lattice_flows.flows.components import build_prior, recorded
from lattice_flows.flows.flow import Flow
from lattice_flows.lattice import Lattice
from lattice_flows.priors import PRIORS

__all__ = ["continuous"]

FREE_FIELD = Component(name="free_field")


@recorded("continuous")
def continuous(
    lattice: Lattice,
    seed: int = 1,
    *,
    prior: Annotated[Component, PRIORS] = FREE_FIELD,
    features: PositiveInt = 6,
    knots: PositiveInt = 5,
    steps: PositiveInt = 12,
    integrator: Literal["rk4", "tsit5"] = "tsit5",
    spacing: PositiveFloat = 0.7,
    kernel_radius: PositiveFloat | None = None,
    pair_frequencies: NonNegativeInt = 0,
    pair_features: PositiveInt = 3,
    pair_radius: PositiveFloat | None = None,
    zero_mode: bool = False,
    mean_frequencies: NonNegativeInt = 0,
    smooth_lengths: Numbers = (),
) -> Flow:
    """Builds a neural differential equation with all symmetries of the lattice (arXiv:2207.00283); see `EquivariantODE`.

    It starts as the identity, so nothing depends on the seed.

    Args:
      lattice: the lattice; extents may be odd.
      seed: not used.
      prior: the distribution of z.
      features: number of sine functions of a site.
      knots: number of knots of the time dependence, 2 or more.
      steps: number of integration steps at the start of training; training doubles them where log weights need it.
      integrator: "rk4" or "tsit5".
      spacing: of the sine functions' frequencies at the start.
      kernel_radius: length of the longest displacement over which sites interact; None for all.
      pair_frequencies: number of the frequencies of pair terms, whose force depends on the fields at both sites; 0 for none.
      pair_features: number of the sine functions of a site that pair terms use, the first ones.
      pair_radius: length of the longest displacement of pair terms, which must reach another site; None for all.
      zero_mode: adds a term that moves all sites by a function of their mean.
      mean_frequencies: number of the frequencies of mean-field terms, kernels that depend on the mean field; 0 for none.
      smooth_lengths: widths, at the start of training, of averages over the surroundings of a site; each adds a force that is a
        function of such an average.

    Returns:
      The flow.

    Raises:
      ConfigError: an unknown prior.
      ValueError: fewer than two knots, pair terms that reach no other site or use more features than there are, or a smooth
        length that is not positive.
    """
    ode = EquivariantODE(
        lattice,
        features=features,
        knots=knots,
        steps=steps,
        integrator=integrator,
        spacing=spacing,
        kernel_radius=kernel_radius,
        pair_frequencies=pair_frequencies,
        pair_features=pair_features,
        pair_radius=pair_radius,
        zero_mode=zero_mode,
        mean_frequencies=mean_frequencies,
        smooth_lengths=smooth_lengths,
    )
    return Flow(lattice, build_prior(prior, lattice), ode, frozenset({"translation", "rotation", "reflection", "sign"}))
