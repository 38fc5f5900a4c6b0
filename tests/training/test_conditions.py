"""The couplings that the training of a conditioned flow goes through."""

import math

import numpy as np
import pytest
import tensorflow as tf
from small import ACTION, ADAM, LATTICE, Training, gaussian_flow, settings, weights_of

from lattice_flows.actions import ScalarPhi4
from lattice_flows.config import ConfigError
from lattice_flows.flows import conditioned
from lattice_flows.training.conditions import Conditions
from lattice_flows.training.trainer import Trainer

DENSE = {
    "name": "affine",
    "layers": 2,
    "partitions": ["checkerboard"],
    "fourier_scaling": False,
    "element_wise_maps": False,
    "network": {"name": "dense", "hidden": [4]},
}
DOUBLE_WELL = ScalarPhi4(LATTICE, m2=-4.0, lam=6.0)


def flow():
    return conditioned(LATTICE, knots=(5.0, 5.5, 9.0), of=DENSE)


def coupling(of):
    return float(tf.convert_to_tensor(of.coupling))


def test_steps_cover_the_range_evenly_in_units_of_the_knots():
    one = flow()
    conditions = Conditions(one, DOUBLE_WELL, seed=1)
    assert coupling(one) == pytest.approx(6.0)
    drawn = []
    for step in range(40):
        conditions.begin_step(step)
        drawn.append(coupling(one))
    shares = np.interp(drawn, one.knots, [0, 0.5, 1])
    assert (np.histogram(shares, 4, (0, 1))[0] >= 9).all()
    conditions.begin_step(7)
    assert coupling(one) == drawn[7]
    assert [float(value) for value in conditions.each()] == [5.0, 5.25, 7.25, 9.0] and coupling(one) == pytest.approx(6.0)


def test_a_plain_flow_has_no_conditions():
    conditions = Conditions(gaussian_flow(), ACTION, seed=1)
    conditions.begin_step(3)
    assert conditions.action is ACTION and [math.isnan(value) for value in conditions.each()] == [True]


def test_actions_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="conditioned on lam between 5 and 9, got 4"):
        Trainer(flow(), ScalarPhi4(LATTICE, m2=-4.0, lam=4.0), settings())
    other = conditioned(LATTICE, condition="mass", of={"name": "affine", "layers": 2})
    with pytest.raises(ConfigError, match="'scalar_phi4' has no parameter 'mass': choose one of m2, lam"):
        Trainer(other, DOUBLE_WELL, settings())


def test_knots_where_there_is_no_action_are_refused():
    below = conditioned(LATTICE, knots=(-4.0, 5.0), of=DENSE)
    with pytest.raises(ConfigError, match=r"the flow has the knot lam = -4, .*: lam must not be negative, got -4.0"):
        Trainer(below, ScalarPhi4(LATTICE, m2=-4.0, lam=4.0), settings())


@pytest.mark.slow
def test_a_training_that_is_resumed_goes_on_as_if_it_had_not_stopped(tmp_path):
    """And improves the flow at every coupling of the range."""
    adam = {**ADAM, "learning_rate": 0.02, "evaluate_every": 20, "schedule": {"name": "constant"}}
    straight, parts = Training(tmp_path / "straight"), Training(tmp_path / "parts")
    one = flow()
    summary = straight(one, DOUBLE_WELL, steps=40, **adam)
    first, second = straight.metrics
    assert second["kl"] < first["kl"] and summary.condition in (5.0, 5.25, 7.25, 9.0)
    assert "at the worst coupling" in straight.output and coupling(one) == pytest.approx(6.0)
    parts(flow(), DOUBLE_WELL, steps=20, **adam)
    resumed = flow()
    again = parts(resumed, DOUBLE_WELL, steps=40, **adam)
    assert again._replace(seconds=0, compile_seconds=0) == summary._replace(seconds=0, compile_seconds=0)
    assert parts.metrics == straight.metrics
    np.testing.assert_equal(weights_of(resumed), weights_of(one))
