"""Ensembles on disk and in memory."""

import errno
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
from growing import flip

from lattice_flows.io import rows as rows_module
from lattice_flows.io import segments
from lattice_flows.io.ensembles import Ensemble, EnsembleError, differing
from lattice_flows.io.files import RunError, writing
from lattice_flows.io.segments import EnsembleWriter


@pytest.fixture(params=["on disk", "in memory"])
def path(request, tmp_path):
    return tmp_path / "e.h5" if request.param == "on disk" else None


def ensemble_of(writer, path):
    return writer.ensemble if path is None else Ensemble(path)


def test_what_is_appended_is_read_back(path):
    rng = np.random.default_rng(1)
    phi, phi_2 = rng.normal(size=(2500, 3, 2, 2)).astype(np.float32), rng.normal(size=(2500, 3))
    accepted = np.arange(7500).reshape(2500, 3) % 3 == 0
    with EnsembleWriter(path, {"sampler": "test", "lattice_shape": (2, 2)}) as writer:
        for rows in np.array_split(np.arange(2500), 4):
            writer.append({"phi": phi[rows], "accepted": accepted[rows]}, {"phi_2": phi_2[rows]})
        writer.append({"phi": phi[:0], "accepted": accepted[:0]}, {"phi_2": phi_2[:0]})
        writer.describe({"diagnostics": {"seconds": 1.5}})
        assert path is None or not path.exists()  # a reader never sees half of it
    with ensemble_of(writer, path) as ensemble:
        assert len(ensemble) == 2500 and ensemble.index is None and ensemble.log_weight is None
        np.testing.assert_array_equal(ensemble.phi, phi)
        np.testing.assert_array_equal(np.concatenate(list(ensemble.chunks(999))), phi)
        np.testing.assert_array_equal(ensemble.accepted, accepted)
        assert ensemble.series.keys() == {"phi_2"}
        np.testing.assert_array_equal(ensemble.series["phi_2"], phi_2)
        given = {"sampler": "test", "lattice_shape": [2, 2], "diagnostics": {"seconds": 1.5}}
        assert ensemble.attributes == given | {"layout": 2}
    assert path is None or [file.name for file in path.parent.iterdir()] == ["e.h5"]


def test_a_chain_of_proposals_is_an_index_into_them(path):
    phi, index = np.arange(40, dtype=np.float32).reshape(10, 2, 2), np.array([1, 1, 3, 4, 4, 9])
    data = {"phi": phi, "log_weight": np.arange(10.0), "index": index, "accepted": np.diff(index, prepend=0) > 0}
    with EnsembleWriter(path, {}) as writer:
        writer.append(data)
    with ensemble_of(writer, path) as ensemble:
        assert len(ensemble) == 6 and ensemble.series == {}
        np.testing.assert_array_equal(ensemble.phi, phi[index][:, np.newaxis])
        np.testing.assert_array_equal(ensemble.rows(2, 4), phi[2:4])
        np.testing.assert_array_equal(ensemble.log_weight, data["log_weight"])


def test_several_ensembles_can_be_in_memory_at_once():
    writers = [EnsembleWriter(None, {"seed": seed}) for seed in (1, 2)]
    for writer in writers:
        with writer:
            writer.append({"phi": np.zeros((3, 1, 2))})
    assert [writer.ensemble.attributes["seed"] for writer in writers] == [1, 2]


@pytest.mark.parametrize(("chains", "extent", "first"), [(256, 64, 2), (1, 64, 1000), (256, 6, 1000), (1, 128, 50)])
def test_chunks_of_the_file_are_about_one_mebibyte(tmp_path, chains, extent, first):
    with EnsembleWriter(tmp_path / "e.h5", {}) as writer:
        writer.append({"phi": np.zeros((first, chains, extent, extent), np.float32)}, {"phi_2": np.zeros((first, chains))})
    with h5py.File(tmp_path / "e.h5") as file:
        for data in (file["phi"], file["series/phi_2"]):
            size = np.prod(data.chunks) * data.dtype.itemsize
            assert min(2**19, data.size * data.dtype.itemsize) <= size <= 2**20, (data.name, data.chunks)


def test_a_small_ensemble_is_a_small_file(tmp_path):
    with EnsembleWriter(tmp_path / "e.h5", {}) as writer:
        writer.append({"phi": np.zeros((10, 1, 4, 4), np.float32)}, {str(i): np.zeros((10, 1)) for i in range(10)})
    assert (tmp_path / "e.h5").stat().st_size < 50_000


def test_a_failure_leaves_the_earlier_file(tmp_path):
    with EnsembleWriter(tmp_path / "e.h5", {}) as writer:
        writer.append({"phi": np.zeros((3, 1, 2))})
    with pytest.raises(RuntimeError, match="interrupted"), EnsembleWriter(tmp_path / "e.h5", {}) as writer:
        writer.append({"phi": np.ones((5, 1, 2))})
        raise RuntimeError("interrupted")
    with Ensemble(tmp_path / "e.h5") as ensemble:
        assert len(ensemble) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["e.h5"]


def test_rows_must_fit():
    message = r"as many rows, got \{'phi': 2, 'phi_2': 3\}"
    with EnsembleWriter(None, {}) as writer, pytest.raises(ValueError, match=message):
        writer.append({"phi": np.zeros((2, 1, 2))}, {"phi_2": np.zeros((3, 1))})
    with EnsembleWriter(None, {}) as writer, pytest.raises(ValueError, match=r"'phi': 2, 'log_weight': 3"):
        writer.append({"phi": np.zeros((2, 2)), "log_weight": np.zeros(3)})


def test_what_made_a_file(tmp_path):
    with EnsembleWriter(tmp_path / "e.h5", {"seed": 1, "settings": {"shape": (2, 2)}}) as writer:
        writer.append({"phi": np.zeros((3, 1, 2))})
    with Ensemble(tmp_path / "e.h5") as ensemble:
        assert not differing(ensemble.attributes, {"seed": 1, "settings": {"shape": (2, 2)}})
        assert differing(ensemble.attributes, {"seed": 2, "weights": "abc"}) == ["seed", "weights"]


def test_a_file_of_an_earlier_layout_is_refused_by_name(tmp_path):
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file["phi"], file["measured_on_proposal_phi_2"] = np.zeros((3, 2, 2)), np.zeros(3)
    with pytest.raises(EnsembleError, match=r"old.h5 has the layout 1 .*, this one reads layout 2: draw the ensemble again"):
        Ensemble(tmp_path / "old.h5")


@pytest.fixture
def stored(tmp_path):
    """A file with 2000 proposals."""
    rng = np.random.default_rng(2)
    rows = {"phi": rng.normal(size=(2000, 2, 2)).astype(np.float32), "log_weight": rng.normal(size=2000)}
    with EnsembleWriter(tmp_path / "e.h5", {"seed": 1, "lattice_shape": (2, 2)}) as writer:
        writer.append(rows | {"index": np.arange(2000), "accepted": np.ones(2000, bool)}, {"phi_2": rng.normal(size=2000)})
    return tmp_path / "e.h5"


def shorten(file):
    for name in ("phi", "log_weight", "series/phi_2", "index", "accepted"):
        file[name].resize(1500, axis=0)


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (shorten, "its data set '.*' has 1500 of 2000 rows"),
        (lambda file: file["phi"].__setitem__(slice(700, 1212), 0), "its data set 'phi' has changed"),
        (lambda file: file["index"].__setitem__(3, 2), "its data set 'index' has changed"),
        (lambda file: file.__delitem__("series/phi_2"), r"one data set too many: \['series/phi_2'\]"),
        (lambda file: file.attrs.__setitem__("seed", "2"), "its attributes have changed"),
    ],
)
def test_a_file_that_has_changed_is_named(stored, harm, what):
    with Ensemble(stored) as ensemble:
        ensemble.verify()
    with h5py.File(stored, "a") as file:
        harm(file)
    with Ensemble(stored) as ensemble, pytest.raises(EnsembleError, match=rf"cannot read .*e.h5: .*{what}.*; draw the ensemble"):
        ensemble.verify()


def test_a_flipped_bit_is_noticed(stored):
    flip(stored)
    with Ensemble(stored) as ensemble, pytest.raises(EnsembleError, match="its data set 'phi' has changed"):
        ensemble.verify()


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (lambda file: file["log_weight"].resize(1500, axis=0), "its numbers of rows differ"),
        (lambda file: file["index"].__setitem__(3, 2000), "its index points to proposals that it does not hold"),
        (lambda file: file["phi"].resize(10**12, axis=0), "its numbers of rows differ"),
        (lambda file: file.attrs.__setitem__("lattice_shape", "[3, 3]"), r"the shape \(2000, 2, 2\) on a lattice \(3, 3\)"),
        (lambda file: file.attrs.__setitem__("seed", "[1]"), r"its attribute 'seed' is \[1\]"),
        (lambda file: file.attrs.__setitem__("seed", "{"), "Expecting property name"),
        (lambda file: file.attrs.__setitem__("layout", 3), "the JSON object must be str"),
        (lambda file: (file.__delitem__("phi"), file.create_group("phi")), "no entry 'phi'"),
        (
            lambda file: (file.__delitem__("phi"), file.create_dataset("phi", (2000, 2, 2), "f4", chunks=True)),
            "not there as a whole",
        ),
    ],
)
def test_files_without_checksums_are_read_if_they_fit_together(stored, harm, what):
    with h5py.File(stored, "a") as file:
        del file.attrs["checksums"]  # as an earlier version would have written it
    with Ensemble(stored) as ensemble:
        ensemble.verify()
        assert ensemble.index[-1] == 1999
    with h5py.File(stored, "a") as file:
        harm(file)
    with pytest.raises(EnsembleError, match=rf"cannot read .*e.h5: .*{what}"), Ensemble(stored) as ensemble:
        ensemble.index  # noqa: B018
    with h5py.File(stored, "a"):  # nothing was left open
        pass


def test_parts_of_a_file(stored):
    with Ensemble(stored) as ensemble:
        assert (ensemble.stored, ensemble.series_names) == (2000, ["phi_2"])
        np.testing.assert_array_equal(ensemble.series_rows(3, 7)["phi_2"], ensemble.series["phi_2"][3:7])
        assert ensemble.series_rows(0, 1, []) == {}


def no_space(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_no_space_is_noticed_before_anything_is_lost(tmp_path, monkeypatch):
    with EnsembleWriter(tmp_path / "e.h5", {}) as writer:
        writer.append({"phi": np.zeros((3, 1, 2))})
    monkeypatch.setattr(os, "posix_fallocate", no_space, raising=False)
    with (
        pytest.raises(RunError, match=r"cannot write .*e.h5: No space left on device; what was there before is un"),
        writing(tmp_path / "e.h5"),
        EnsembleWriter(tmp_path / "e.h5", {}) as writer,
    ):
        writer.append({"phi": np.zeros((1000, 1, 2))})
    with Ensemble(tmp_path / "e.h5") as ensemble:
        assert len(ensemble) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["e.h5"]


def test_its_repr_is_one_line():
    action = {"name": "scalar_phi4", "m2": -4.0, "lam": 8.0}
    with EnsembleWriter(None, {"sampler": "hmc", "lattice_shape": (2, 2), "action": action}) as writer:
        writer.append({"phi": np.zeros((5, 3, 2, 2))})
    expected = "Ensemble(hmc, Lattice((2, 2)), scalar_phi4 m2=-4.0 lam=8.0, 5 configurations of each of 3 chains)"
    assert repr(writer.ensemble) == expected
    writer.ensemble.close()
    assert repr(writer.ensemble) == "Ensemble(closed)"
    with EnsembleWriter(None, {"sampler": "independence"}) as writer:
        writer.append({"phi": np.zeros((2, 2, 2)), "log_weight": np.zeros(2), "index": np.array([0, 1, 1])})
    assert repr(writer.ensemble) == "Ensemble(independence, 3 configurations)"


FULL = """
import resource, sys, pathlib, numpy
from lattice_flows.io import segments
segments._SHORTEST = segments._SHARE = 0.0
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
try:
    with segments.EnsembleWriter(pathlib.Path("e.h5"), {}) as writer:
        for number in range(4):
            writer.append({"phi": numpy.random.default_rng(1).normal(size=(25000, 1, 2))}, state={"updates": number})
except OSError as error:
    print("refused by the system:", error.strerror)
"""


@pytest.mark.parametrize(("limit", "kept"), [(100_000, 0), (1_000_000, 4)])  # a segment has 0.4 MB
def test_a_write_that_fails_is_an_os_error(tmp_path, limit, kept):
    """In the first segment, or where all of them are merged. HDF5 would crash the process."""
    done = subprocess.run([sys.executable, "-c", FULL, str(limit)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "refused by the system: File too large"
    assert sorted(path.name for path in tmp_path.rglob("*.*5")) == [f"{number:06d}.h5" for number in range(kept)]
    assert not list(tmp_path.rglob("*.part"))


def test_a_segment_is_closed_when_its_rows_are_many(tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "_LARGEST", 100_000)
    with EnsembleWriter(tmp_path / "e.h5", {}) as writer:
        for number in range(10):
            writer.append({"phi": np.full((1000, 1, 4), float(number))}, state={"updates": number})
        assert len(list((tmp_path / "e.h5.segments").glob("*.h5"))) == 2
    with Ensemble(tmp_path / "e.h5") as ensemble:
        np.testing.assert_array_equal(ensemble.phi[:, 0, 0], np.repeat(np.arange(10), 1000))


@pytest.mark.parametrize(("rows", "shape"), [(3, (256, 40, 40)), (2500, (3, 5)), (1, (100, 64, 64)), (70_000, (8,))])
def test_the_space_that_is_reserved_is_enough_and_not_much_more(tmp_path, monkeypatch, rows, shape):
    reserved = []
    monkeypatch.setattr(rows_module, "_reserve", lambda path, size: reserved.append(size))
    with EnsembleWriter(tmp_path / "e.h5", {"seed": 1}) as writer:
        writer.append({"phi": np.zeros((rows, *shape), np.float32)}, {"phi_2": np.zeros(rows)})
    size = (tmp_path / "e.h5").stat().st_size
    assert size <= reserved[0] < 1.1 * size + 50_000
