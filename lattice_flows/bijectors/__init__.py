"""TFP bijectors on lattice fields `[batch, *lattice_shape]`."""

from lattice_flows.bijectors.affine_coupling import AffineCoupling
from lattice_flows.bijectors.equivariant_ode import EquivariantODE
from lattice_flows.bijectors.fourier_scaling import FourierScaling
from lattice_flows.bijectors.sinh_arcsinh import SinhArcsinh

__all__ = ["AffineCoupling", "EquivariantODE", "FourierScaling", "SinhArcsinh"]
