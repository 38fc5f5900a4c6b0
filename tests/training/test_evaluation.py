"""The rows of metrics.csv."""

import csv

import numpy as np
import pytest
from small import ACTION, coarse_flow, gaussian_flow

from lattice_flows.importance import WeightedSampler, effective_sample_size, expected_acceptance, log_z
from lattice_flows.training.evaluation import Evaluator, evaluate, metrics_table


def test_an_evaluation_is_written_as_a_row_of_numbers():
    log_weight = np.random.default_rng(1).normal(size=100)
    given = {"step": 7, "integration_error": 0.25, "learning_rate": 0.1, "seconds": 1.5}
    row = evaluate(log_weight, losses=[1.0, 2.0], **given)
    assert row.loss == 1.5 and all(getattr(row, name) == value for name, value in given.items())
    assert (row.ess, row.acceptance) == (effective_sample_size(log_weight), expected_acceptance(log_weight))
    assert row.log_z == log_z(log_weight)[0]
    first, second = csv.DictReader(metrics_table([row, row._replace(step=8)]).splitlines())
    assert first["step"] == "7" and second["step"] == "8" and float(first["ess"]) == row.ess


def test_every_evaluation_has_samples_of_its_own():
    flow = gaussian_flow()
    evaluator = Evaluator(flow, ACTION, 1300, seed=3)
    evaluator.compile()
    (first, finer), (second, _) = evaluator.log_weights(0), evaluator.log_weights(1)
    assert finer is None and len(first) == len(second) == 1300
    drawn = WeightedSampler(flow, ACTION, 512, seed=3).log_weights(6 * 512, "evaluation")
    np.testing.assert_array_equal(first, drawn[:1300])
    np.testing.assert_array_equal(second, drawn[3 * 512 : 3 * 512 + 1300])


def test_a_flow_that_is_integrated_is_compared_with_half_the_step():
    flow = coarse_flow()
    for variable in flow.trainable_variables:
        variable.assign_add(np.random.default_rng(3).normal(scale=0.1, size=variable.shape))
    log_weight, finer = Evaluator(flow, ACTION, 1024, seed=3).log_weights(0)
    assert len(finer) == 1024
    sampler = WeightedSampler(flow, ACTION, 512, seed=3).refined()
    np.testing.assert_array_equal(finer, sampler.log_weights(1024, "evaluation"))
    assert 1e-6 < np.mean(np.abs(finer - log_weight)) < 0.2 * np.std(log_weight)
    assert pytest.approx(np.mean(finer), abs=0.5) == np.mean(log_weight)
