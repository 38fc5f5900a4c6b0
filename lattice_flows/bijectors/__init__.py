"""TFP bijectors on lattice fields `[batch, *lattice_shape]`, one a file, and the registry of the inner maps of couplings."""

from lattice_flows.bijectors.affine_map import AffineMap
from lattice_flows.bijectors.augmented import AugmentedBijector
from lattice_flows.bijectors.equivariant_ode import EquivariantODE
from lattice_flows.bijectors.even_sites import EvenSites
from lattice_flows.bijectors.fourier_scaling import FourierScaling
from lattice_flows.bijectors.inner_map import InnerMap
from lattice_flows.bijectors.masked_coupling import MaskedCoupling
from lattice_flows.bijectors.odd_sites import OnOddSites
from lattice_flows.bijectors.rational_quadratic_spline import RationalQuadraticSpline
from lattice_flows.bijectors.sinh_arcsinh import SinhArcsinh
from lattice_flows.config import Registry

__all__ = [
    "INNER_MAPS",
    "AffineMap",
    "AugmentedBijector",
    "EquivariantODE",
    "EvenSites",
    "FourierScaling",
    "InnerMap",
    "MaskedCoupling",
    "OnOddSites",
    "RationalQuadraticSpline",
    "SinhArcsinh",
]

INNER_MAPS = Registry("inner map", {"affine": AffineMap, "rational_quadratic_spline": RationalQuadraticSpline})
