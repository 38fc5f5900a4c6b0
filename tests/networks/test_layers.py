"""Initial weights of layered networks."""

import numpy as np
import pytest

from lattice_flows.config import Component
from lattice_flows.lattice import Lattice
from lattice_flows.networks import NETWORKS


@pytest.mark.parametrize("component", [Component(name="convolutional"), Component(name="dense", hidden=[7])])
def test_initial_weights_are_pytorchs(component):
    lattice = Lattice((4, 4))
    network = NETWORKS.build(component, lattice, lattice.parity() == 0, ("even", "odd"), np.random.default_rng(6))
    kernels = [variable.numpy() for variable in network.variables if "kernel" in variable.name]
    for kernel in kernels:
        bound = 1 / np.sqrt(kernel[..., 0].size)
        assert 0.8 * bound < np.abs(kernel).max() <= bound
