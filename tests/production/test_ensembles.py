"""Which ensembles in files are kept, drawn again, or refused."""

import errno
import json
import os

import h5py
import numpy as np
import pytest
import tensorflow as tf

import lattice_flows as lf
from lattice_flows.errors import UserError
from lattice_flows.io import ensembles, segments
from lattice_flows.io.ensembles import Ensemble
from lattice_flows.io.files import RunError
from lattice_flows.production import check_continues, proposals, sample_run
from lattice_flows.production.ensembles import settings_of
from lattice_flows.reading import UnreadableFile


def test_a_finished_chain_is_not_replaced_by_another_one(drawn, small_config, monkeypatch):
    draw, flow, action, path = drawn
    draw().close()
    first, chain = path.read_bytes(), small_config().chain

    def another(seed=1, **settings):
        return sample_run(flow, action, chain.model_copy(update=settings), seed=seed, path=path)

    for other, named in (
        ({"seed": 2}, "seed"),
        ({"length": 1999}, "settings.length"),
        ({"batch_size": 300, "thermalisation": 7}, "settings.batch_size, settings.thermalisation, thermalisation"),
    ):
        with pytest.raises(RunError, match=f"holds an ensemble that was drawn with other values of {named}: use the same ones"):
            another(**other)
    # A resumed run asks before it writes its configuration.
    settings = {"batch_size": 300, "thermalisation": 7}
    with pytest.raises(RunError, match=r"other values of settings\.batch_size, settings\.thermalisation, thermalisation: use"):
        check_continues(path, "independence", chain.model_copy(update=settings))
    with pytest.raises(RunError, match=r"other values of sampler, settings\.batch_size, settings\.length"):
        check_continues(path, "flow_hmc", small_config().sampler("flow_hmc"))
    for length in (2000, 5000):
        check_continues(path, "independence", chain.model_copy(update={"length": length}))
    check_continues(path.with_name("none.h5"), "independence", chain)
    assert path.read_bytes() == first
    # A longer one has the same beginning; what was drawn of it stays while the shorter one is asked for again.
    stopping = (KeyboardInterrupt if n else None for n in range(2))
    append = segments.EnsembleWriter.append

    def appended(*arguments, **how):
        if error := next(stopping):
            raise error
        append(*arguments, **how)

    monkeypatch.setattr(segments.EnsembleWriter, "append", appended)
    with pytest.raises(KeyboardInterrupt):
        another(length=5000)
    monkeypatch.undo()
    kept = list(path.with_name("ensemble.h5.segments").iterdir())
    draw().close()
    assert path.read_bytes() == first and kept and all(segment.exists() for segment in kept)
    another(length=5000).close()
    with Ensemble(path) as longer:
        assert len(longer) == 5000


def test_an_ensemble_that_cannot_be_reached_is_not_taken_for_a_damaged_one(drawn, small_config, monkeypatch):
    draw, flow, action, path = drawn
    draw().close()
    first, chain = path.read_bytes(), small_config().chain

    def locked(path):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    with monkeypatch.context() as patch, pytest.raises(UnreadableFile, match=r"cannot read \S+ now: .*; it is left as it is: try"):
        patch.setattr(ensembles, "_opened", locked)
        sample_run(flow, action, chain, seed=2, path=path)
    assert path.read_bytes() == first
    for layout, refusal in ((99, r"has the layout 99 of another version .*: it is not replaced"), (1, "other values of seed: use")):
        with h5py.File(path, "a") as file:
            file.attrs["layout"] = json.dumps(layout)
        before = path.read_bytes()
        with pytest.raises(RunError, match=refusal):
            sample_run(flow, action, chain, seed=2, path=path)
        assert path.read_bytes() == before


def test_an_ensemble_is_not_taken_for_that_of_an_action_whose_code_has_changed(tmp_path):
    """Name and parameters are the same. A file of before, which does not tell, counts as that of the present code."""

    def sample(power):
        class Wells(lf.ScalarPhi4):
            name = "wells"

            def __call__(self, phi):
                return super().__call__(phi) + 0.1 * tf.reduce_sum(phi**power, self.lattice.axes)

        action = Wells(lf.Lattice((2, 2)), m2=1.0, lam=0.5)
        return lf.baseline(action, "hmc", chains=2, updates=20, thermalisation=10, successive=10, path=path, progress=False)

    path = tmp_path / "ensemble.h5"
    for _ in range(2):
        sample(6).close()
    with pytest.raises(RunError, match=r"ensemble\.h5 holds an ensemble that was drawn with other values of action_of_test_field"):
        sample(8)
    for there, other in (
        ({}, []),
        ({"action_of_test_field": 2.50001}, []),
        ({"action_of_test_field": 2.51}, ["action_of_test_field"]),
    ):
        assert ensembles.differing(there, {"action_of_test_field": 2.5}) == other


def test_files_of_other_samplers_have_no_defaults_of_theirs(small_config):
    """They never had them: an ensemble from before would be drawn again."""
    settings = small_config().sampler("hmc")
    assert settings_of("hmc", settings) == settings.model_dump(mode="json") and "flip" not in settings_of("hmc", settings)
    assert "panels" in settings_of("flow_hmc", small_config().sampler("flow_hmc"))


def test_a_file_of_an_earlier_layout_is_replaced(drawn, progress):
    draw, _, _, path = drawn
    with h5py.File(path, "w") as file:
        file["phi"] = np.zeros((3, 4, 4))
    assert len(draw()) == 2000
    assert "drawing the ensemble again: " in progress.console.file.getvalue()


def test_a_file_that_is_no_ensemble_is_not_replaced(tmp_path, small_config, small_model, monkeypatch):
    flow, action = small_model
    monkeypatch.setattr(proposals, "Drawing", None)
    (tmp_path / "note.txt").write_text("of somebody")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["x"] = np.zeros(3)
    os.mkfifo(tmp_path / "fifo")
    before = {path.name for path in tmp_path.iterdir()}
    for name in before:
        with pytest.raises(RunError, match=rf"{name} is there already, and is not an ensemble of lattice_flows: choose another"):
            sample_run(flow, action, small_config().chain, path=tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == before and (tmp_path / "note.txt").read_text() == "of somebody"
    for path in ("", ".", 5, "a\0b", "x" * 300):
        with pytest.raises(UserError, match=r"^[^\n]+$"):
            lf.sample(flow, action, 1000, path=path, progress=False)
