"""Ensembles on disk."""

import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

from lattice_flows.io.ensembles import Ensemble, EnsembleWriter
from lattice_flows.io.files import RunError, writing


def test_what_is_appended_is_read_back(tmp_path):
    phi = np.random.default_rng(1).normal(size=(2500, 2, 2)).astype(np.float32)
    accepted = np.arange(2500) % 3 == 0
    with EnsembleWriter(tmp_path / "e.h5", {"sampler": "test", "lattice_shape": (2, 2)}) as writer:
        for start in range(0, 2500, 700):
            writer.append(phi=phi[start : start + 700], accepted=accepted[start : start + 700])
        writer.append(phi=phi[:0], accepted=accepted[:0])
        writer.describe({"seconds": 1.5})
        assert not (tmp_path / "e.h5").exists()  # a reader never sees half of it
    with Ensemble(tmp_path / "e.h5") as ensemble:
        assert len(ensemble) == 2500
        np.testing.assert_array_equal(ensemble["phi"], phi)
        np.testing.assert_array_equal(np.concatenate(list(ensemble.pieces("phi", 999))), phi)
        np.testing.assert_array_equal(ensemble["accepted"], accepted)
        assert ensemble.attributes == {"sampler": "test", "lattice_shape": [2, 2], "seconds": 1.5}
    assert [path.name for path in tmp_path.iterdir()] == ["e.h5"]


def test_a_failure_leaves_the_earlier_file(tmp_path):
    with EnsembleWriter(tmp_path / "e.h5", {}) as writer:
        writer.append(phi=np.zeros((3, 2)))
    with pytest.raises(RuntimeError, match="interrupted"), EnsembleWriter(tmp_path / "e.h5", {}) as writer:
        writer.append(phi=np.ones((5, 2)))
        raise RuntimeError("interrupted")
    with Ensemble(tmp_path / "e.h5") as ensemble:
        assert len(ensemble) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["e.h5"]


def test_rows_must_fit(tmp_path):
    with EnsembleWriter(tmp_path / "e.h5", {}) as writer:
        writer.append(phi=np.zeros((3, 2)), accepted=np.zeros(3))
        with pytest.raises(ValueError, match=r"as many rows, got \{'phi': 2, 'accepted': 3\}"):
            writer.append(phi=np.zeros((2, 2)), accepted=np.zeros(3))
        with pytest.raises(ValueError, match=r"holds \['accepted', 'phi'\], got \['phi'\]"):
            writer.append(phi=np.zeros((2, 2)))


def test_what_made_a_file(tmp_path):
    with EnsembleWriter(tmp_path / "e.h5", {"seed": 1, "settings": {"shape": (2, 2)}}) as writer:
        writer.append(phi=np.zeros((3, 2)))
    with Ensemble(tmp_path / "e.h5") as ensemble:
        assert ensemble.was_made_as({"seed": 1}) and ensemble.was_made_as({"settings": {"shape": (2, 2)}})
        assert not ensemble.was_made_as({"seed": 2}) and not ensemble.was_made_as({"weights": "abc"})


def test_no_space_is_noticed_before_anything_is_lost(tmp_path, monkeypatch):
    with EnsembleWriter(tmp_path / "e.h5", {}) as writer:
        writer.append(phi=np.zeros((3, 2)))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=1000))
    with (
        pytest.raises(RunError, match=r"cannot write .*e.h5: No space left on device; what was there before is untouched"),
        writing(tmp_path / "e.h5"),
        EnsembleWriter(tmp_path / "e.h5", {}) as writer,
    ):
        writer.append(phi=np.zeros((1000, 2)))
    with Ensemble(tmp_path / "e.h5") as ensemble:
        assert len(ensemble) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["e.h5"]


FULL = """
import resource, pathlib, numpy
from lattice_flows.io.ensembles import EnsembleWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))
try:
    with EnsembleWriter(pathlib.Path("e.h5"), {}) as writer:
        writer.append(phi=numpy.random.default_rng(1).normal(size=(100000, 2)))
except OSError as error:
    print("refused by the system")
"""


def test_a_write_that_fails_is_an_os_error(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == "refused by the system"
    assert not list(tmp_path.iterdir())
