"""The fields between noise and field."""

import itertools

import numpy as np
import pytest

from lattice_flows.config import Component
from lattice_flows.flows import FLOWS, intermediate_fields, marginalized
from lattice_flows.lattice import Lattice

SEED = [1, 2]
COUPLINGS = {
    "name": "affine",
    "layers": 4,
    "prior": {"name": "normal"},
    "fourier_scaling": False,
    "network": {"name": "dense", "hidden": [3]},
}
EQUATION = {"name": "continuous", "features": 2, "knots": 2, "steps": 4, "integrator": "rk4", "prior": {"name": "normal"}}


def flow(**component):
    built = FLOWS.build(Component(**component), Lattice((4, 4)), 1)
    for variable in built.trainable_variables:
        variable.assign(variable + 0.1 * np.random.default_rng(1).normal(size=variable.shape))
    return built


def test_couplings_act_one_after_the_other():
    built = flow(**COUPLINGS)
    fields = intermediate_fields(built, 2, SEED)
    assert list(fields)[:3] == ["noise", "1 of 6: sinh arcsinh", "2 of 6: coupling 0"] and len(fields) == 7
    phi, _ = built.sample_and_log_prob(2, SEED)
    np.testing.assert_allclose(fields["6 of 6: coupling 3"], phi, rtol=1e-12)
    # The first coupling changes half of the sites.
    moved = fields["2 of 6: coupling 0"] != fields["1 of 6: sinh arcsinh"]
    assert np.count_nonzero(moved) == moved.numpy().size / 2


def test_an_equation_is_followed_in_time():
    built = flow(**EQUATION)
    fields = intermediate_fields(built, 2, SEED)
    assert list(fields) == ["noise", "t = 0.25", "t = 0.5", "t = 0.75", "t = 1"]
    np.testing.assert_allclose(fields["t = 1"], built.sample_and_log_prob(2, SEED)[0], rtol=1e-12)


@pytest.mark.parametrize("of", [EQUATION, COUPLINGS], ids=["odd", "not odd"])
def test_a_symmetrized_flow_is_followed_inside(of):
    built = flow(name="symmetrized", of={**of, "prior": {"name": "free_field", "mean_field": 1.0}})
    fields = intermediate_fields(built, 1, SEED)
    phi, z = fields[list(fields)[-1]], fields["noise"]
    assert len(fields) > 4 and phi.shape == (1, 4, 4) and not np.allclose(phi, z)


def test_an_equation_of_the_odd_sites_is_followed_too():
    lattice = Lattice((4, 4))
    built = marginalized(lattice, of=EQUATION, action={"name": "scalar_phi4", "m2": -4.0, "lam": 5.0})
    fields = list(intermediate_fields(built, 2, SEED).values())
    assert len(fields) == 6
    even = lattice.parity() == 0
    for before, after in itertools.pairwise(fields[:5]):
        np.testing.assert_array_equal(before.numpy()[:, even], after.numpy()[:, even])
