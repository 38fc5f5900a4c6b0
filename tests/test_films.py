"""Films of runs: of flows from noise to field, of other samplers along their chain."""

from types import SimpleNamespace

import numpy as np
import pytest

from lattice_flows import command_line, films, plots
from lattice_flows.config import CONFIGS, Component, load
from lattice_flows.flows import FLOWS, affine, save_weights
from lattice_flows.io.arrays import read_arrays
from lattice_flows.io.files import RunError
from lattice_flows.io.segments import EnsembleWriter
from lattice_flows.lattice import Lattice
from lattice_flows.production.proposals import of_flow
from lattice_flows.report.runs import NOISE_TO_FIELD


def ensemble(data, **attributes):
    with EnsembleWriter(None, {"sampler": "hmc", "lattice_shape": [2, 2]} | attributes) as writer:
        writer.append(data)
    return writer.ensemble


def test_fields_are_made_one_after_the_other_with_a_pause():
    flow = FLOWS.build(
        Component(name="continuous", features=2, knots=2, steps=3, integrator="rk4", prior={"name": "normal"}), Lattice((4, 4)), 1
    )
    made, first = films.of_a_flow(flow, seed=3)
    assert first.fields.shape == (25, 4, 4) and first.labels[0] == "noise" and first.labels[-1] == "t = 1"
    assert len(made.labels) == len(made.fields) == 3 * (4 + 24 + 10) and made.labels[:5] == ["noise"] * 4 + [first.labels[1]]
    np.testing.assert_array_equal(made.fields[27], first.fields[24])
    assert not np.array_equal(made.fields[38], made.fields[0])


def test_the_chain_of_a_flow_stays_where_a_proposal_is_rejected():
    phi = np.random.default_rng(1).normal(size=(4, 2, 2)).astype(np.float32)
    index = np.array([1, 1, 3])
    chain = ensemble({"phi": phi, "log_weight": np.zeros(4), "index": index, "accepted": index > 0})
    film = films.of_a_chain(chain)
    assert film.labels == ["update 1", "update 2", "update 3"]
    np.testing.assert_array_equal(film.fields, phi[index])


def test_the_first_of_some_chains_is_shown_with_its_updates():
    phi = np.random.default_rng(1).normal(size=(150, 3, 2, 2)).astype(np.float32)
    film = films.of_a_chain(ensemble({"phi": phi}, settings={"thinning": 10}))
    assert film.labels[:2] == ["update 10", "update 20"]
    np.testing.assert_array_equal(film.fields, phi[:100, 0])


def test_a_run_with_neither_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text(load(CONFIGS / "E1.yaml").dump())
    with pytest.raises(RunError, match=r"holds neither a trained flow nor an ensemble: name a run that does"):
        films.film(tmp_path)


def test_a_film_says_of_which_weights_it_is(tmp_path, monkeypatch):
    """By the fingerprint that ensembles of the same flow have."""
    flow = affine(Lattice((4, 4)), layers=2)
    (tmp_path / "config.yaml").write_text(load(CONFIGS / "E1.yaml").dump())
    save_weights(tmp_path / "weights.npz", flow)
    drawn = plots.Film(["noise"], np.zeros((1, 4, 4)))
    monkeypatch.setattr(films, "open_trained", lambda folder: SimpleNamespace(flow=flow))
    monkeypatch.setattr(films, "of_a_flow", lambda flow, seed: (drawn, drawn))
    films.film(tmp_path)
    described = read_arrays(tmp_path / NOISE_TO_FIELD)[1]
    assert described["labels"] == ["noise"] and described["weights"] == of_flow(flow)["weights"]


def test_runs_of_one_name_are_all_in_the_animation(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(films, "film", lambda folder, seed, progress: folder)
    monkeypatch.setattr(plots, "animation", lambda path, made: drawn.update(made))
    folders = [tmp_path / "runs" / "E4", tmp_path / "runs" / "hmc" / "E4"]
    assert command_line.main(["animate", *map(str, folders), "--out=field.mp4"]) == 2
    assert command_line.main(["animate", *map(str, folders)]) == 0
    assert drawn == {"runs/E4": folders[0], "hmc/E4": folders[1]}
