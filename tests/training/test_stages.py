"""Beginning with the weights of an earlier training."""

import numpy as np
import pytest
import tensorflow as tf
from small import coarse_flow, gaussian_flow, weights_of

import lattice_flows as lf
from lattice_flows.flows import save_weights
from lattice_flows.io.arrays import CheckpointError
from lattice_flows.lattice import Lattice
from lattice_flows.training.stages import begin_with
from lattice_flows.training.state import Summary

SUMMARY = Summary(40, 2.0, 1.0, 15, 0.5, 0.4, "all steps done", earlier_seconds=3.0, earlier_steps=8)


@pytest.fixture
def earlier(tmp_path):
    flow = coarse_flow(steps=4)
    for variable in flow.variables:
        variable.assign_add(np.ones(variable.shape))
    save_weights(tmp_path / "weights.npz", flow, {"summary": SUMMARY._asdict()})
    return tmp_path, flow


def test_weights_of_a_run_folder_or_a_file(earlier):
    folder, flow = earlier
    for path in (folder, folder / "weights.npz", str(folder)):
        other = coarse_flow()
        assert begin_with(other, path) == 5.0 and other.trained_steps == 48
        assert other.integration_steps == flow.integration_steps
        for name, array in weights_of(flow).items():
            np.testing.assert_array_equal(array, other.named_variables()[name])


def test_a_flow_keeps_its_own_integration_steps_if_they_are_more(earlier):
    flow = coarse_flow(steps=6)
    begin_with(flow, earlier[0])
    assert list(flow.integration_steps.values()) == [6]


def test_weights_of_a_smaller_lattice(earlier):
    flow = coarse_flow(Lattice((6, 6)))
    assert begin_with(flow, earlier[0]) == 5.0 and flow.trained_steps == 48 and list(flow.integration_steps.values()) == [4]
    assert all(np.any(array != 0) for array in weights_of(flow).values())


def test_weights_without_a_history_took_no_time(tmp_path):
    save_weights(tmp_path / "weights.npz", gaussian_flow())
    assert begin_with(flow := gaussian_flow(), tmp_path) == 0.0 and flow.trained_steps == 0


def test_weights_that_come_with_the_package(tmp_path, monkeypatch):
    flow, _ = lf.load("E1", flow="continuous")
    trained = weights_of(flow)
    for variable in flow.variables:
        variable.assign(tf.zeros_like(variable))
    monkeypatch.chdir(tmp_path)
    assert begin_with(flow, "continuous/E1") > 5.0
    np.testing.assert_equal(weights_of(flow), trained)
    (own := tmp_path / "continuous" / "E1").mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"there are no weights continuous/E1/weights\.npz: give"):
        begin_with(flow, "continuous/E1")
    save_weights(own / "weights.npz", flow)
    assert begin_with(flow, "continuous/E1") == 0.0


def test_weights_that_do_not_fit(earlier):
    for flow, path, message in [
        (coarse_flow(), "nowhere", "there are no weights nowhere: give"),
        (coarse_flow(), "continous/L64", "give a weights file, .*; or did you mean 'continuous/L64', which comes"),
        (coarse_flow(), "L32", "there are no weights L32: .*; or did you mean 'continuous/L32', which comes with the package"),
        (gaussian_flow(), earlier[0], "the weights in .* belong to another flow"),
        (coarse_flow(Lattice((4, 4, 4))), earlier[0], "lattice of 2 dimensions, the flow has 3"),
    ]:
        before = weights_of(flow)
        with pytest.raises(CheckpointError, match=message):
            begin_with(flow, path)
        np.testing.assert_equal(weights_of(flow), before)
