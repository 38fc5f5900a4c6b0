"""When the step of an integration is too coarse."""

import numpy as np
import pytest
from small import coarse_flow, weights_of

from lattice_flows.training.refinement import IntegrationCheck, check_integration, halve_the_step
from lattice_flows.training.state import TrainingState
from lattice_flows.training.stopping import TrainingDiverged

RNG = np.random.default_rng(1)
LOG_WEIGHT = RNG.normal(loc=5.0, scale=2.0, size=4000)
LOG_Z = 5.0 + 2.0**2 / 2


@pytest.mark.parametrize(("error", "too_coarse"), [(0.19, False), (0.21, True)])
def test_an_error_of_a_tenth_of_the_spread_is_too_large(error, too_coarse):
    # Two outliers, which would hide the error in a standard deviation.
    log_weight = np.concatenate([LOG_WEIGHT, [1e3, -1e3]])
    check = check_integration(log_weight, LOG_WEIGHT[:1000] + error, [], 64)
    assert check.error == pytest.approx(error) and check.too_coarse == too_coarse and not check.exploited
    assert f"changes log weights by {error:.2g}" in check.description


def test_rounding_of_a_flow_that_is_all_but_exact_is_no_error():
    nearly_equal = 5.0 + 1e-6 * RNG.normal(size=1000)
    assert not check_integration(nearly_equal, nearly_equal + 1e-4, [], 64).too_coarse
    assert check_integration(nearly_equal, nearly_equal + 2e-3, [], 64).too_coarse


@pytest.mark.parametrize(("below", "exploited"), [(0.0, False), (2.0, True)])
def test_a_loss_below_its_bound_is_exploitation(below, exploited):
    losses = list(-LOG_Z - below + RNG.normal(scale=0.1, size=50))
    check = check_integration(LOG_WEIGHT, LOG_WEIGHT, losses, 64)
    assert check.exploited == check.too_coarse == exploited and check.error == 0
    assert ("training exploits the integrator" in check.description) == exploited


@pytest.mark.parametrize("number", [1, 2, 3, 10])
def test_a_few_losses_of_an_exact_flow_exploit_nothing(number):
    """Their spread says little about their noise: of one loss, it is zero."""
    rng = np.random.default_rng(2)
    for _ in range(200):
        log_weight = rng.normal(loc=5.0, scale=0.1, size=1024)
        losses = [-float(rng.normal(loc=5.0, scale=0.1, size=64).mean()) for _ in range(number)]
        assert not check_integration(log_weight, log_weight, losses, 64).exploited


@pytest.mark.parametrize("exploited", [False, True])
def test_halving_the_step_doubles_the_number_of_steps_in_place(exploited):
    flow, said = coarse_flow(steps=3), []
    state = TrainingState(step=7, best_weights={name: array + 1.0 for name, array in weights_of(flow).items()})
    before = weights_of(flow)
    halve_the_step(flow, state, IntegrationCheck(0.5, True, exploited, "half the step matters"), said.append)
    assert list(flow.integration_steps.values()) == [6] and state.halvings == 1
    np.testing.assert_equal(weights_of(flow), state.best_weights if exploited else before)
    returned = " and returning to the best model" if exploited else ""
    assert said == [f"at step 7, half the step matters; halving the step{returned}"]


def test_the_step_is_halved_four_times_at_most():
    flow = coarse_flow(steps=3)
    with pytest.raises(TrainingDiverged, match=r"at step 7, some error; 4 halvings were not enough: try training\.gradient: path"):
        halve_the_step(flow, TrainingState(step=7, halvings=4), IntegrationCheck(0.5, True, False, "some error"), print)
    assert list(flow.integration_steps.values()) == [3]
