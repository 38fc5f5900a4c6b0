"""Weights on disk."""

import errno
import os

import numpy as np
import pytest

from lattice_flows.io.arrays import CheckpointError, Checkpoints, read_arrays, write_arrays
from lattice_flows.reading import UnreadableFile


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


def rewritten(path, change):
    """The archive again, with other arrays but what it says about them."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    change(arrays)
    with path.open("wb") as file:
        np.savez(file, **arrays)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda arrays: arrays.pop("b"), "its array 'b' is missing"),
        (lambda arrays: arrays.update(c=np.zeros(1)), "its array 'c' does not belong there"),
        (lambda arrays: arrays["a"].__setitem__(0, 7.0), "its array 'a' has changed"),
        (lambda arrays: arrays.update(a=arrays["a"][:2]), "its array 'a' has changed"),
        (lambda arrays: arrays.update(a=arrays["a"].astype(np.float32)), "its array 'a' has changed"),
        (lambda arrays: arrays.pop("__facts__"), "it has no entry '__facts__'"),
    ],
)
def test_an_archive_says_what_it_holds(tmp_path, change, what):
    path = tmp_path / "w.npz"
    write_arrays(path, {"a": np.arange(3.0), "b": np.zeros((2, 2))})
    rewritten(path, lambda arrays: None)
    assert read_arrays(path)[0].keys() == {"a", "b"}
    rewritten(path, change)
    with pytest.raises(CheckpointError, match=rf"cannot read .*w.npz: {what}; use a copy of it, or train again"):
        read_arrays(path)


def test_what_is_no_archive_of_arrays(tmp_path):
    with (tmp_path / "single.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    (tmp_path / "text.npz").write_text("weights")
    for name, what in (("single", "it is not an archive of weights"), ("text", "not an archive"), ("missing", "No such file")):
        with pytest.raises(CheckpointError, match=rf"cannot read .*{name}.npz: .*{what}"):
            read_arrays(tmp_path / f"{name}.npz")


def test_an_archive_whose_places_are_none_is_damaged_and_the_one_before_counts(tmp_path):
    """NumPy reports such places as errors of the disk, which would mean that the file may be whole."""
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        checkpoints.save(step, {"x": np.full(100, step)}, {"step": step})
    newest = tmp_path / "step_000000002.npz"
    whole, errors = newest.read_bytes(), set()
    for place in range(len(whole) - 300, len(whole)):
        newest.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        said = []
        step = checkpoints.latest(said.append)[1]["step"]
        assert step == 2 or "falling back to the checkpoint before" in said[0]
        errors.add(step)
    assert errors == {1, 2}


def test_a_checkpoint_that_may_not_be_read_is_not_passed_over(tmp_path, monkeypatch):
    Checkpoints(tmp_path).save(1, {"x": np.zeros(3)}, {})

    def refused(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(type(tmp_path), "read_bytes", refused)
    with pytest.raises(UnreadableFile, match=r"1.npz now: Permission denied; it is left as it is"):
        Checkpoints(tmp_path).latest(print)
