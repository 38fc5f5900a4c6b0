"""The fields between noise and field."""

import numpy as np
import pytest

from lattice_flows.config import Component
from lattice_flows.flows import FLOWS, intermediate_fields
from lattice_flows.lattice import Lattice

SEED = [1, 2]
COUPLINGS = {"name": "affine", "layers": 4, "network": {"name": "dense", "hidden": [3]}}
EQUATION = {"name": "continuous", "features": 2, "knots": 2, "steps": 4, "integrator": "rk4"}


def flow(**component):
    built = FLOWS.build(Component(**component), Lattice((4, 4)), 1)
    for variable in built.trainable_variables:
        variable.assign(variable + 0.1 * np.random.default_rng(1).normal(size=variable.shape))
    return built


def test_couplings_act_one_after_the_other():
    built = flow(**COUPLINGS)
    fields = intermediate_fields(built, 2, SEED)
    assert list(fields)[:3] == ["noise", "1 of 7: sinh arcsinh", "2 of 7: coupling 0"] and len(fields) == 8
    phi, _ = built.sample_and_log_prob(2, SEED)
    np.testing.assert_allclose(fields["7 of 7: coupling 3"], phi, rtol=1e-12)
    # The first coupling changes half of the sites.
    moved = fields["2 of 7: coupling 0"] != fields["1 of 7: sinh arcsinh"]
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
