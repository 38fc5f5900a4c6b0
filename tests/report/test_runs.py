"""What is read of run folders, complete or not."""

import dataclasses
import json
import re

import numpy as np
import pytest

from lattice_flows.io.arrays import fingerprint, write_arrays
from lattice_flows.io.ensembles import ENSEMBLE, Ensemble
from lattice_flows.io.files import RunError
from lattice_flows.paper.cases import Case
from lattice_flows.paper.ingredients import stored
from lattice_flows.report.runs import NOISE_TO_FIELD, read_run, read_runs


def test_a_complete_run_lacks_nothing(make, tmp_path):
    run = read_run(make.measured(tmp_path / "E1", stored("affine", Case("E1"))))
    assert run.name == "E1" and not run.missing and run.kind == "affine flow"
    assert run.result.table == "E1" and run.config.lattice.shape == (6, 6) and run.environment["commit"] is None
    assert [list(metrics["step"]) for metrics in run.history] == [[50, 100]]


@pytest.mark.parametrize(
    ("made", "missing"),
    [
        ("begun", ["No ensemble and no weights: the run has not ended. The same command with --resume continues it"]),
        ("trained", [r"Not sampled: lattice-flows sample --run \S+/run --out \S+/run_ensemble draws"]),
        ("sampled", [r"Not measured: lattice-flows measure \S+/run --out \S+/run/result.json does that"]),
    ],
)
def test_what_a_run_lacks_is_said(make, tmp_path, made, missing):
    run = read_run(getattr(make, made)(tmp_path / "run"))
    assert run.result is None and run.ensemble == ((6, 6), (("name", "scalar_phi4"), ("m2", -4.0), ("lam", 6.975)))
    assert len(run.missing) == len(missing)
    for found, pattern in zip(run.missing, missing, strict=True):
        assert re.search(pattern, found), found


def test_a_baseline_has_no_history_and_lacks_none(make, tmp_path):
    result = stored("affine", Case("E1"))
    baseline = type(result)(**{**vars(result), "sampler": "hmc", "flow": None, "training": None})
    run = read_run(make.measured(tmp_path / "hmc", baseline, chains=2))
    assert run.kind == "HMC" and not run.missing and run.excerpt.log_weight is None
    with Ensemble(tmp_path / "hmc" / ENSEMBLE) as ensemble:
        phi = ensemble.phi
    np.testing.assert_array_equal(run.excerpt.fields["update 400"], phi[39, 0])
    np.testing.assert_array_equal(run.excerpt.successive["update 20"], phi[1, 0])


def test_a_result_of_another_ensemble_is_not_shown_beside_this_one(make, tmp_path):
    result = stored("affine", Case("E1"))
    for name, other in (("seed", {"seed": 2}), ("sampler", {"sampler": "annealed"}), ("shape", {"lattice_shape": (8, 8)})):
        run = read_run(make.measured(tmp_path / name, dataclasses.replace(result, **other)))
        assert run.result is None and run.missing[0].startswith("result.json was measured on another ensemble. Not measured: ")
    folder = make.measured(tmp_path / "run", result)
    (folder / f"{ENSEMBLE}.segments").mkdir()
    (folder / f"{ENSEMBLE}.segments" / "000000.h5").write_bytes(b"")
    run = read_run(folder)
    assert run.result is not None and run.missing == [
        "Another ensemble is being drawn here, or was interrupted; this page shows the one before."
    ]


def test_a_baseline_that_is_being_drawn_is_no_flow(make, tmp_path):
    assert read_run(make.begun(tmp_path / "hmc")).kind == "not sampled yet"
    assert read_run(make.trained(tmp_path / "trained")).kind == "affine flow"
    assert read_run(make.sampled(tmp_path / "drawn", chains=2)).kind == "HMC"


@pytest.mark.parametrize(("labels", "value"), [(["a"], 0.0), (["a", "b"], np.nan)])
def test_a_film_that_cannot_be_drawn_is_damaged(make, tmp_path, labels, value):
    folder = make.trained(tmp_path / "run")
    write_arrays(folder / NOISE_TO_FIELD, {"fields": np.full((2, 6, 6), value)}, {"labels": labels})
    run = read_run(folder)
    assert run.film is None and "its frames are not finite fields with a label each" in run.missing[-1]


def test_an_ensemble_may_be_gone(make, tmp_path):
    folder = make.measured(tmp_path / "run", stored("affine", Case("E1")))
    (folder / ENSEMBLE).unlink()
    assert read_run(folder).missing == ["ensemble.h5 is not there any more, so nothing is drawn of it."]


def test_proposals_have_their_action_and_density(make, tmp_path):
    run = read_run(make.sampled(tmp_path / "run"))
    with Ensemble(tmp_path / "run" / ENSEMBLE) as ensemble:
        log_weight, density, phi = ensemble.log_weight[4:], ensemble.series["action_density"][4:], ensemble.phi
    np.testing.assert_allclose(run.excerpt.action, 36 * density)
    np.testing.assert_allclose(-run.excerpt.action - run.excerpt.log_q, log_weight)
    np.testing.assert_array_equal(run.excerpt.fields["update 36"], phi[35, 0])


def test_what_earlier_weights_made_is_not_shown_beside_a_longer_training(make, tmp_path):
    """As `train --resume --steps 600` leaves it, and with the ensemble removed."""
    folder, frames = make.measured(tmp_path / "run", stored("affine", Case("E1"))), {"fields": np.ones((2, 6, 6))}
    write_arrays(folder / NOISE_TO_FIELD, frames, {"labels": ["a", "b"], "weights": fingerprint({"scale": np.ones(3, np.float32)})})
    run = read_run(folder)
    assert None not in (run.result, run.excerpt, run.film) and not run.missing
    write_arrays(folder / "weights.npz", {"scale": np.zeros(3, np.float32)}, {"summary": {"steps": 600}})
    run = read_run(folder)
    assert (run.result, run.excerpt, run.film) == (None, None, None) and run.kind == "affine flow" and run.history
    assert len(run.missing) == 2 and run.missing[0].startswith(
        "ensemble.h5 is of other weights than weights.npz, so neither it nor a result is shown. lattice-flows sample --run "
    )
    assert run.missing[1] == "noise_to_field.npz is of other weights than weights.npz: lattice-flows animate makes it again."
    (folder / ENSEMBLE).unlink()
    run = read_run(folder)
    assert run.result is None
    assert run.missing[1] == "result.json is of a training of 300 steps, weights.npz of 600, so it is not shown."


@pytest.mark.parametrize(
    "name", ["result.json", "metrics.csv", "weights.npz", ENSEMBLE, "environment.json", "config.yaml", NOISE_TO_FIELD]
)
def test_a_damaged_file_is_named_and_the_rest_is_shown(make, tmp_path, name):
    folder = make.measured(tmp_path / "run", stored("affine", Case("E1")))
    (folder / name).write_text("{")
    run = read_run(folder)
    assert [sentence.split(" is there, but damaged: ")[0] for sentence in run.missing] == [name]
    assert sum(part is not None for part in (run.result, run.excerpt, run.environment, run.config)) >= 3


def test_stages_come_before_the_run_itself(make, tmp_path):
    make.trained(tmp_path / "run")
    for stage in ("10", "2"):
        make.trained(tmp_path / "run" / "stages" / stage)
    (tmp_path / "run" / "stages" / "2" / "metrics.csv").write_text("step,loss,ess,acceptance,log_z\n7,1,0.5,0.5,0\n")
    assert [metrics["step"] for metrics in read_run(tmp_path / "run").history] == [[7], [50, 100], [50, 100]]
    assert read_runs([tmp_path / "run" / "stages" / "2"])[0].name == "run, stage 2"


def test_names_are_unique(make, tmp_path):
    folders = [make.begun(tmp_path / place / "E1") for place in ("a", "b")]
    assert [run.name for run in read_runs([*folders, folders[0]])] == ["a/E1", "b/E1"]
    folders = [
        make.begun(tmp_path / place) for place in ("x/runs/E4", "y/runs/E4", "y/runs/E4/stages/1", "x/runs/E4/stages/1", "E5")
    ]
    names = ["x/runs/E4", "y/runs/E4", "y/runs/E4, stage 1", "x/runs/E4, stage 1", "E5"]
    assert [run.name for run in read_runs(folders)] == names


@pytest.mark.parametrize("has_result", [False, True])
def test_a_flow_that_was_trained_elsewhere_has_no_history(make, tmp_path, has_result):
    folder = make.measured(tmp_path / "run", stored("affine", Case("E1")))
    (folder / "metrics.csv").unlink()
    if not has_result:
        (folder / "result.json").unlink()
    assert read_run(folder).missing[-1] == "No training history: the flow was trained in another folder."


def test_the_way_from_noise_to_field_is_found(make, tmp_path):
    folder = make.trained(tmp_path / "run")
    write_arrays(folder / NOISE_TO_FIELD, {"fields": np.ones((2, 6, 6))}, {"labels": ["noise", "t = 1"]})
    film = read_run(folder).film
    assert film.labels == ["noise", "t = 1"] and film.fields.shape == (2, 6, 6)


def test_other_folders_are_refused(make, tmp_path):
    with pytest.raises(RunError, match="there is no run folder"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"is not a run folder: it holds no config.yaml"):
        read_run(tmp_path)
    make.begun(tmp_path / "E1")
    with pytest.raises(RunError, match=r"is not a run folder: name a run in it, such as \S+/E1"):
        read_run(tmp_path)


@pytest.mark.parametrize("wrong", [{"chain": [1.0]}, {"training": "short"}, {"seed": [1]}, {"observables": {"E": None}}])
def test_a_result_that_cannot_be_shown_counts_as_damaged(make, tmp_path, wrong):
    folder = make.measured(tmp_path / "run", stored("affine", Case("E1")))
    content = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps(content | wrong))
    run = read_run(folder)
    assert run.result is None and "result.json is there, but damaged: cannot read" in run.missing[0]
