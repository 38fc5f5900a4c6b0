"""The rows of metrics.csv."""

import csv

import numpy as np
import pytest
from small import ACTION, coarse_flow, gaussian_flow

from lattice_flows import resources
from lattice_flows.importance import (
    BrokenFlow,
    WeightedSampler,
    effective_sample_size,
    expected_acceptance,
    forward_effective_sample_size,
    k_hat,
    kl_divergence,
    log_z,
)
from lattice_flows.training import evaluation
from lattice_flows.training.evaluation import Evaluation, Evaluator, described, evaluate, judged, metrics_table, with_forward, worst

# The columns that files had before there were more; readers know them by name, in this order.
EARLIER = ["step", "loss", "ess", "acceptance", "log_z", "integration_error", "learning_rate", "seconds"]


def test_an_evaluation_is_written_as_a_row_of_numbers():
    log_weight = np.random.default_rng(1).normal(size=100)
    given = {"step": 7, "integration_error": 0.25, "learning_rate": 0.1, "seconds": 1.5}
    row = evaluate(log_weight, losses=[1.0, 2.0], **given)
    assert row.loss == 1.5 and all(getattr(row, name) == value for name, value in given.items())
    assert (row.ess, row.acceptance) == (effective_sample_size(log_weight), expected_acceptance(log_weight))
    assert row.log_z == log_z(log_weight)[0]
    assert (row.kl, row.kl_error) == kl_divergence(log_weight) and (row.k_hat, row.k_hat_error) == k_hat(log_weight)
    shifted = log_weight - np.median(log_weight)
    assert (row.log_weight_low, row.log_weight_high) == pytest.approx(tuple(np.quantile(shifted, [0.01, 0.99])))
    text = metrics_table([row, row._replace(step=8)])
    first, second = csv.DictReader(text.splitlines())
    assert first["step"] == "7" and second["step"] == "8" and float(first["ess"]) == row.ess
    assert list(first)[: len(EARLIER)] == EARLIER == list(Evaluation._fields[: len(EARLIER)])
    assert "forward_ess" not in first and float(first["kl"]) == row.kl


def test_samples_of_the_target_give_a_forward_effective_sample_size():
    log_weight, forward = np.random.default_rng(1).normal(size=(2, 100))
    given = {"step": 7, "losses": [1.0], "integration_error": 0.0, "learning_rate": 0.1, "seconds": 1.5}
    row = with_forward(evaluate(log_weight, **given), forward)
    assert row.forward_ess == forward_effective_sample_size(forward)
    assert metrics_table([row]).splitlines()[0].endswith(",forward_ess")
    assert "forward ESS" in described(row) and "forward ESS" not in described(evaluate(log_weight, **given))


def test_of_several_couplings_the_worst_counts():
    given = {"step": 7, "losses": [1.0], "integration_error": 0.0, "learning_rate": 0.1, "seconds": 1.5}
    noise = np.random.default_rng(1).normal(size=100)
    rows = [evaluate(width * noise, condition=coupling, **given) for width, coupling in [(0.1, 4.0), (0.3, 5.0), (0.2, 6.0)]]
    assert worst(rows).condition == 5.0
    assert "at the worst coupling, 5" in described(worst(rows)) and metrics_table(rows).splitlines()[0].endswith(",condition")


def test_samples_without_a_finite_weight_count_with_weight_zero():
    log_weight = np.random.default_rng(1).normal(size=100)
    found = judged(np.concatenate([log_weight, [np.nan, -np.inf, np.inf]]))
    assert found["ess"] == pytest.approx(effective_sample_size(log_weight) * 100 / 103)
    assert found["kl"] == np.inf
    with pytest.raises(BrokenFlow, match="none of 2 proposals"):
        judged(np.array([np.nan, -np.inf]))


def test_every_evaluation_has_samples_of_its_own():
    flow = gaussian_flow()
    evaluator = Evaluator(flow, ACTION, 1300, seed=3)
    evaluator.compile()
    (first, finer), (second, _) = evaluator.log_weights(0), evaluator.log_weights(1)
    assert finer is None and len(first) == len(second) == 1300
    drawn = WeightedSampler(flow, ACTION, 512, seed=3).log_weights(6 * 512, "evaluation")
    np.testing.assert_array_equal(first, drawn[:1300])
    np.testing.assert_array_equal(second, drawn[3 * 512 : 3 * 512 + 1300])


def test_an_evaluation_draws_as_many_samples_as_the_sites_allow(monkeypatch):
    flow = coarse_flow()
    for module, constant, fields in ((resources, "_SITES_OF_A_DRAW", 32), (evaluation, "_FINER_SITES", 40)):
        monkeypatch.setattr(module, constant, fields * flow.lattice.volume)
    monkeypatch.setattr(evaluation, "evaluation_samples", lambda asked, shape: 96)
    evaluator = Evaluator(flow, ACTION, 1024, seed=3)
    (log_weight, finer), (second, _) = evaluator.log_weights(0), evaluator.log_weights(1)
    drawn = WeightedSampler(flow, ACTION, 32, seed=3)
    np.testing.assert_array_equal(np.concatenate([log_weight, second]), drawn.log_weights(192, "evaluation"))
    np.testing.assert_array_equal(finer, drawn.refined().log_weights(40, "evaluation"))
    assert evaluator.fields(0)[0].shape == (96, *flow.lattice.shape)


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


def test_the_judgement_draws_four_times_as_many_samples():
    flow = gaussian_flow()
    sampler = WeightedSampler(flow, ACTION, 512, seed=3)
    best = evaluate(
        sampler.log_weights(512, "evaluation"), losses=[1.0], integration_error=0.0, learning_rate=0.1, seconds=1.5, step=7
    )
    judgement = Evaluator(flow, ACTION, 512, seed=3).judgement(best, [None])
    assert judgement.ess == effective_sample_size(sampler.log_weights(4 * 512, "judgement")) and judgement.step == 7
