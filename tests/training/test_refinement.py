"""When the step of an integration is too coarse."""

import numpy as np
import pytest
from small import coarse_flow

from lattice_flows.training.refinement import check_integration, halve_the_step

RNG = np.random.default_rng(1)
LOG_WEIGHT = RNG.normal(loc=5.0, scale=2.0, size=4000)
LOG_Z = 5.0 + 2.0**2 / 2


@pytest.mark.parametrize(("error", "too_coarse"), [(0.19, False), (0.21, True)])
def test_an_error_of_a_tenth_of_the_spread_is_too_large(error, too_coarse):
    # Two outliers, which would hide the error in a standard deviation.
    log_weight = np.concatenate([LOG_WEIGHT, [1e3, -1e3]])
    check = check_integration(log_weight, LOG_WEIGHT[:1000] + error, [])
    assert check.error == pytest.approx(error) and check.too_coarse == too_coarse and not check.exploited
    assert f"changes log weights by {error:.2g}" in check.description


@pytest.mark.parametrize(("below", "exploited"), [(0.0, False), (2.0, True)])
def test_a_loss_below_its_bound_is_exploitation(below, exploited):
    losses = list(-LOG_Z - below + RNG.normal(scale=0.1, size=50))
    check = check_integration(LOG_WEIGHT, LOG_WEIGHT, losses)
    assert check.exploited == check.too_coarse == exploited and check.error == 0
    assert ("training exploits the integrator" in check.description) == exploited


def test_halving_the_step_doubles_the_number_of_steps_in_place():
    flow = coarse_flow(steps=3)
    halve_the_step(flow)
    assert list(flow.integration_steps.values()) == [6]
