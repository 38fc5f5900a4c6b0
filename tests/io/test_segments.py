"""Ensembles that are interrupted while they are drawn."""

import errno
import os

import h5py
import numpy as np
import pytest
from growing import ATTRIBUTES, CHUNKS, content, draw, flip

from lattice_flows.io import segments
from lattice_flows.io.files import RunError, temporary, writing
from lattice_flows.reading import UnreadableFile


@pytest.fixture(autouse=True)
def a_segment_for_every_chunk(monkeypatch):
    monkeypatch.setattr(segments, "_SHORTEST", 0.0)
    monkeypatch.setattr(segments, "_SHARE", 0.0)


@pytest.fixture
def undisturbed(tmp_path):
    draw(tmp_path / "undisturbed.h5")
    return content(tmp_path / "undisturbed.h5")


@pytest.fixture
def interrupted(tmp_path):
    """A chain that was interrupted after seven chunks: the ensemble and the folder of its segments."""
    path = tmp_path / "e.h5"
    with pytest.raises(KeyboardInterrupt):
        draw(path, stop=7)
    return path, path.with_name("e.h5.segments")


def test_an_interrupted_chain_goes_on_to_the_same_ensemble(tmp_path, interrupted, undisturbed):
    path, folder = interrupted
    assert not path.exists() and len(list(folder.iterdir())) == 7
    said = []
    drawn = draw(path, info=said.append)
    assert drawn == CHUNKS - 7 and "going on after the 70 rows that were drawn before" in said[0]
    np.testing.assert_equal(content(path), undisturbed)
    assert {file.name for file in tmp_path.iterdir()} == {"e.h5", "undisturbed.h5"}


def test_the_part_of_a_segment_before_an_interruption_is_kept(tmp_path, monkeypatch, undisturbed):
    monkeypatch.setattr(segments, "_SHORTEST", 1e9)
    monkeypatch.setattr(segments, "_LONGEST", 1e9)
    said = []
    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path / "e.h5", stop=5, info=said.append)
    assert said == [f"what was drawn is kept in {tmp_path / 'e.h5.segments'}: the same run goes on from there"]
    assert draw(tmp_path / "e.h5") == CHUNKS - 5
    np.testing.assert_equal(content(tmp_path / "e.h5"), undisturbed)


def test_a_chain_that_was_complete_but_not_merged(tmp_path, monkeypatch, undisturbed):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(segments, "checked_pieces", lambda file: (_ for _ in ()).throw(KeyboardInterrupt))
        draw(tmp_path / "e.h5")
    assert draw(tmp_path / "e.h5") == 0
    np.testing.assert_equal(content(tmp_path / "e.h5"), undisturbed)


def zero(path):
    with h5py.File(path, "a") as file:
        file["phi"][3:5] = 0


def shorten(path):
    with h5py.File(path, "a") as file:
        file["phi"].resize(5, axis=0)


@pytest.mark.parametrize("harm", [flip, zero, shorten, lambda path: path.write_bytes(b""), lambda path: path.unlink()])
def test_segments_are_drawn_again_from_the_first_that_is_damaged(interrupted, undisturbed, harm):
    path, folder = interrupted
    harm(folder / "000004.h5")
    said = []
    assert draw(path, info=said.append) == CHUNKS - 4
    assert "going on after the 40 rows" in said[-1]
    assert len(said) == 1 or ("000004.h5" in said[0] and "drawing again from there" in said[0])
    np.testing.assert_equal(content(path), undisturbed)


def test_a_segment_that_is_damaged_before_it_is_merged_is_not_published(interrupted, monkeypatch):
    path, folder = interrupted
    with pytest.raises(segments.EnsembleError, match=r"cannot read .*000002.h5: its data set 'phi' has changed"):
        draw(path, then=lambda: zero(folder / "000002.h5"))
    assert not path.exists()


@pytest.mark.parametrize(
    ("other", "keys"),
    [({"seed": 2}, "seed"), ({"settings": {"length": 120, "width": 1}, "weights": "a"}, "settings.width, weights")],
)
def test_the_segments_of_another_chain_are_not_removed(interrupted, undisturbed, other, keys):
    path, folder = interrupted
    flip(folder / "000000.h5")
    with pytest.raises(RunError, match=rf"{folder} holds an unfinished chain .* other values of {keys}: .* or remove that folder"):
        draw(path, attributes=ATTRIBUTES | other)
    assert len(list(folder.iterdir())) == 7 and not path.exists()
    assert draw(path) == CHUNKS
    np.testing.assert_equal(content(path), undisturbed)


def out_of_reach(monkeypatch, name):
    """Lets a file be one that cannot be opened for now."""
    opened = h5py.File

    def refused(path, *arguments, **settings):
        if str(path).endswith(name):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return opened(path, *arguments, **settings)

    monkeypatch.setattr(h5py, "File", refused)


@pytest.mark.parametrize("attributes", [ATTRIBUTES, ATTRIBUTES | {"seed": 2}])
def test_segments_that_cannot_be_reached_are_not_removed(interrupted, undisturbed, monkeypatch, attributes):
    path, _ = interrupted
    with monkeypatch.context() as patch, pytest.raises(UnreadableFile, match=r"0.h5 now: Too many open files; it is left as it is"):
        out_of_reach(patch, "000000.h5")
        draw(path, attributes=attributes)
    assert draw(path) == CHUNKS - 7
    np.testing.assert_equal(content(path), undisturbed)


def test_a_longer_chain_that_is_not_complete_is_not_removed(tmp_path):
    def writer(end):
        return segments.EnsembleWriter(tmp_path / "e.h5", ATTRIBUTES, end=end)

    with pytest.raises(KeyboardInterrupt), writer(120) as rows:
        for updates in (50, 100):
            rows.append({"phi": np.zeros((50, 1, 2, 2))}, state={"updates": updates})
        raise KeyboardInterrupt
    with pytest.raises(RunError, match=r"holds 100 updates of an unfinished chain, and 90 are wanted: ask for as many or more"):
        writer(90)
    assert writer(100).state["updates"] == 100


def test_what_a_dead_process_left_unfinished_is_removed(tmp_path, interrupted):
    path, folder = interrupted
    for left in (path, folder / "000007.h5"):
        temporary(left).write_bytes(b"half")
    (tmp_path / "film.mkv.part").write_text("not ours")
    draw(path)
    assert {file.name for file in tmp_path.iterdir()} == {"e.h5", "film.mkv.part"}


def no_space(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_keeps_the_segments_before(interrupted, undisturbed, monkeypatch):
    path, folder = interrupted
    with monkeypatch.context() as patch, pytest.raises(RunError, match=r"cannot write .*e.h5: No space left on device"):
        patch.setattr(os, "posix_fallocate", no_space, raising=False)
        with writing(path):
            draw(path)
    assert len(list(folder.iterdir())) == CHUNKS and not path.exists()
    assert draw(path) == 0
    np.testing.assert_equal(content(path), undisturbed)


def test_nothing_stays_open(tmp_path, interrupted):
    path, folder = interrupted
    flip(folder / "000003.h5")
    draw(path)
    with h5py.File(path, "a"):  # which fails while a reader or writer of this process has the file open
        pass
    assert not [each for each in h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE) if str(tmp_path).encode() in each.name]
