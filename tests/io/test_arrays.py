"""Weights on disk."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.io.arrays import CheckpointError, Checkpoints, assign, read_arrays, write_arrays


def test_arrays_and_facts_are_read_back(tmp_path):
    arrays = {"a/b": np.arange(6.0).reshape(2, 3), "c": np.float32(3)}
    write_arrays(tmp_path / "w.npz", arrays, {"step": 3, "rows": [{"ess": 0.5}]})
    read, facts = read_arrays(tmp_path / "w.npz")
    assert facts == {"step": 3, "rows": [{"ess": 0.5}]}
    assert read.keys() == arrays.keys()
    for name in arrays:
        np.testing.assert_array_equal(read[name], arrays[name])


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize("harm", [damage, truncate, lambda path: path.write_bytes(b"")])
def test_a_damaged_checkpoint_is_passed_over_and_named(tmp_path, harm):
    checkpoints = Checkpoints(tmp_path)
    for step in (10, 20, 30):
        checkpoints.save(step, {"x": np.full(1000, step)}, {"step": step})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step_000000020.npz", "step_000000030.npz"]
    assert checkpoints.latest(pytest.fail)[1] == {"step": 30}
    harm(tmp_path / "step_000000030.npz")
    warnings = []
    arrays, facts = checkpoints.latest(warnings.append)
    assert facts == {"step": 20} and np.all(arrays["x"] == 20)
    assert len(warnings) == 1 and "step_000000030.npz" in warnings[0] and "falling back" in warnings[0]
    harm(tmp_path / "step_000000020.npz")
    with pytest.raises(CheckpointError, match=r"every checkpoint in .* is damaged"):
        checkpoints.latest(warnings.append)


def test_no_checkpoint(tmp_path):
    assert Checkpoints(tmp_path / "none").latest(pytest.fail) is None


def test_weights_of_another_flow_change_nothing():
    variables = {"a": tf.Variable([1.0, 2.0]), "b": tf.Variable(3.0)}
    with pytest.raises(CheckpointError, match=r"another flow: missing \['b'\], unknown \['z'\]"):
        assign(variables, {"a": np.zeros(2), "z": np.zeros(())})
    with pytest.raises(CheckpointError, match=r"'b' has the shape \(\), the weights \(3,\)"):
        assign(variables, {"a": np.zeros(2), "b": np.zeros(3)})
    np.testing.assert_array_equal(variables["a"], [1.0, 2.0])
