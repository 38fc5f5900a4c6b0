"""Distributions of z as TFP distributions over `[batch, *lattice_shape]`, float64, one a file, and their registry."""

from lattice_flows.config import Registry
from lattice_flows.priors.free_field import free_field
from lattice_flows.priors.normal import normal
from lattice_flows.priors.odd_sites import NormalEvenSites
from lattice_flows.priors.quartic import quartic
from lattice_flows.priors.sign_symmetric import SignSymmetric

__all__ = ["PRIORS", "NormalEvenSites", "SignSymmetric", "free_field", "normal", "quartic"]

PRIORS = Registry("prior", {"free_field": free_field, "normal": normal, "quartic": quartic})
