"""TFP bijectors on lattice fields `[batch, *lattice_shape]`."""

from lattice_flows.bijectors.affine_coupling import AffineCoupling

__all__ = ["AffineCoupling"]
