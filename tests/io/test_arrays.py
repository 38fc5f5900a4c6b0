"""Weights on disk."""

import numpy as np
import pytest

from lattice_flows.io.arrays import CheckpointError, Checkpoints, read_arrays, write_arrays


def test_arrays_and_diagnostics_are_read_back(tmp_path):
    arrays = {"a/b": np.arange(6.0).reshape(2, 3), "c": np.float32(3)}
    write_arrays(tmp_path / "w.npz", arrays, {"step": 3, "rows": [{"ess": 0.5}]})
    read, diagnostics = read_arrays(tmp_path / "w.npz")
    assert diagnostics == {"step": 3, "rows": [{"ess": 0.5}]}
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
    arrays, diagnostics = checkpoints.latest(warnings.append)
    assert diagnostics == {"step": 20} and np.all(arrays["x"] == 20)
    assert len(warnings) == 1 and "step_000000030.npz" in warnings[0] and "falling back" in warnings[0]
    harm(tmp_path / "step_000000020.npz")
    with pytest.raises(CheckpointError, match=r"every checkpoint in .* is damaged"):
        checkpoints.latest(warnings.append)


def test_no_checkpoint(tmp_path):
    assert Checkpoints(tmp_path / "none").latest(pytest.fail) is None


def test_files_of_earlier_versions_are_read(tmp_path):
    with (tmp_path / "old.npz").open("wb") as file:
        np.savez(file, __facts__=np.array('{"step": 1}'), x=np.zeros(2))
    arrays, diagnostics = read_arrays(tmp_path / "old.npz")
    assert diagnostics == {"step": 1} and arrays.keys() == {"x"}
