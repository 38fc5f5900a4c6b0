"""Every script, as a user runs it."""

import contextlib
import csv
import dataclasses
import io
import json
import re

import pytest
import yaml

from lattice_flows import command_line, production
from lattice_flows.io.ensembles import Ensemble
from lattice_flows.measurement.result import Result

TINY = ("--steps=20", "--max_minutes=0.5")


@pytest.fixture
def command(capsys):
    """Runs a command in this process, which need not import TensorFlow again: its exit code and what it says."""

    def call(*arguments):
        code = command_line.main([str(argument) for argument in arguments])
        return code, "".join(capsys.readouterr())

    return call


@pytest.fixture(scope="module", params=[["--pretrained"], pytest.param([], marks=pytest.mark.slow)], ids=["pretrained", "trained"])
def quick(request, tmp_path_factory):
    """The folder of a run, what was said, and whether it was trained, which takes most of a minute."""
    out = tmp_path_factory.mktemp("quick")
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert command_line.main(["reproduce", "--table=E1", "--quick", f"--out={out}", *request.param]) == 0
    return out / "E1", said.getvalue(), not request.param


def test_reproduce_leaves_all_it_promises(quick):
    folder, text, trained = quick
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    figures = ("zero_momentum_green", "effective_mass", "rejection_runs", *(["training_history"] if trained else []))
    expected = {f"figures/{figure}.{kind}" for figure in figures for kind in ("png", "pdf")}
    expected |= {"result.json", "table.md", "config.yaml", "environment.json", "ensemble.h5", "weights.npz"}
    expected |= {"metrics.csv"} if trained else set()
    assert names >= expected
    assert (folder / "table.md").read_text().strip() in text.replace("\r", "")


def test_the_screen_shows_what_is_compiled(quick):
    _, text, trained = quick
    for what in ("compiling the sampler", "measuring"):
        assert f"\n{what} ...\n" in text and re.search(rf"^{what}: \d+\.\d s$", text, re.MULTILINE)
    assert trained == bool(re.search(r"^compiling the training step.*: \d+\.\d s$", text, re.MULTILINE))


def test_the_result_has_the_promised_keys_and_passes(quick):
    result = json.loads((quick[0] / "result.json").read_text())
    assert result["passed"] and result["table"] == "E1" and result["lattice_shape"] == [6, 6] and result["flow"] == "affine"
    assert result.keys() >= {"m2", "lam", "seed"}
    assert result["training"].keys() >= {"steps", "seconds", "compile_seconds", "parameters"}
    assert result["chain"].keys() >= {"length", "acceptance", "ess", "tau_int", "log_z", "log_z_error", "samples_per_second"}
    keys = {"value", "error", "tau_int", "reference", "reference_error", "published", "published_error", "pull"}
    for name in (
        "two_point_susceptibility",
        "ising_energy",
        "phi_squared",
        "absolute_magnetization",
        "pole_mass_times_l",
        "schwinger_dyson",
    ):
        row = result["observables"][name]
        assert row.keys() >= keys and row["reference"] is not None and abs(row["pull"]) < 4
    assert result["observables"]["pole_mass_times_l"]["published"] == 3.96
    assert result["observables"]["ising_energy"]["published"] is None
    assert result["observables"]["schwinger_dyson"]["reference"] == 1.0


def test_the_ensemble_is_the_chain_of_the_result(quick):
    result = json.loads((quick[0] / "result.json").read_text())
    with Ensemble(quick[0] / "ensemble.h5") as ensemble:
        phi, accepted = ensemble.phi, ensemble.accepted
        assert len(ensemble) == result["chain"]["length"] == len(accepted)
        assert phi.shape[1:] == (1, 6, 6)
        assert accepted.mean() == pytest.approx(result["chain"]["acceptance"])
        repeated = (phi[1:] == phi[:-1]).all(axis=(1, 2, 3))
        assert (repeated == ~accepted[1:]).all()


def test_the_ensemble_can_be_measured_again(quick, command, tmp_path):
    code, text = command("measure", quick[0], "--out", tmp_path / "again.json")
    result, again = (json.loads(file.read_text()) for file in (quick[0] / "result.json", tmp_path / "again.json"))
    assert code == 0 and "two_point_susceptibility" in text
    for name, row in again["observables"].items():
        assert (row["value"], row["error"]) == (result["observables"][name]["value"], result["observables"][name]["error"])
    assert command("measure", tmp_path / "nowhere.h5")[0] == 2


def test_a_folder_in_use_is_refused_and_untouched(quick, command):
    before = {path: path.read_bytes() for path in quick[0].rglob("*.json")}
    code, said = command("reproduce", "--table=E1", "--quick", f"--out={quick[0].parent}")
    assert code == 2 and "already in use" in said
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "nothing to do: give --table, such as E4, or --figure"),
        (["--table=E9"], "flag --table: unknown value 'E9': known: 2d_L4_lam5, 2d_L6_broken, "),
        (["--table=E1", "--lattice_size=7"], "a checkerboard needs every extent even, but the lattice (7, 7) has 7"),
        (["--table=E1,3d_L8", "--lattice_size=4"], "but E1 has 2 dimensions, 3d_L8 has 3 dimensions: use --shape"),
        (["--table=E1", "--shape=4,3,4"], "a checkerboard needs every extent even, but the lattice (4, 3, 4) has 3"),
        (["--table=E1", "--lam=-1"], "lam must not be negative, got -1.0"),
        (
            ["--stored", "--table=3d_L16", "--flow=affine_dense"],
            "holds no result of the flow 'affine_dense' on 3d_L16: run without",
        ),
        (["--table=E1", "--device=gpu:5"], "device 'gpu:5' is not available; choose from cpu:0"),
        (["--table=E1", "--flow=afine"], "unknown flow 'afine': did you mean 'affine'?"),
        (["--table=E1", "--target_acceptance=70"], "flag --target_acceptance has the value 70.0: input should be less than 1"),
        (["--table=E1", "--chain_length=10"], "flag --chain_length has the value 10: input should be greater than or equal to"),
        (["--table=E1", "--chain_lenght=10"], "unknown flag '--chain_lenght': did you mean '--chain_length'?"),
        (["--figure=scan", "--flow=affine"], "--figure scan goes without --flow"),
        (["--figure=volume", "--steps=5"], "--figure volume goes without --steps: it shows stored results"),
        (["--table=E1", "E2"], "unexpected argument 'E2': every option is a flag"),
    ],
)
def test_bad_flags_are_named_and_nothing_is_written(command, tmp_path, flags, message):
    code, said = command("reproduce", *flags, f"--out={tmp_path / 'out'}")
    (error,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert code == 2 and message in error and "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_train_then_sample(command, tmp_path, small_config):
    (tmp_path / "small.yaml").write_text(small_config({"training": {"evaluate_every": 20}}).dump())
    code, text = command("train", "--config", tmp_path / "small.yaml", "--out", tmp_path / "run", *TINY)
    assert code == 1 and "not trustworthy: the tail index k-hat of the weights is" in text  # after 20 steps
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["20"]
    code, text = command("sample", "--run", tmp_path / "run", "--out", tmp_path / "sample", "--sampler=hmc")
    assert code == 2 and "the sampler 'hmc' needs no flow" in text and not (tmp_path / "sample").exists()
    for key, message in (
        ("flow.layers=3", "here it may be one of chain, samplers"),
        ("chain.length=1,2", "2 values for chain.length"),
        ("chain.batchsize=3", "error: --set: unknown key 'chain.batchsize': did you mean 'batch_size'?"),
    ):
        code, text = command("sample", "--run", tmp_path / "run", "--out", tmp_path / "sample", f"--set={key}")
        assert code == 2 and message in text and not (tmp_path / "sample").exists()
    few = ("--set=chain.length=3000", "--set=chain.batch_size=64")
    code, text = command("sample", "--run", tmp_path / "run", "--out", tmp_path / "sample", *few)
    assert code == 1 and "two_point_susceptibility" in text and "acceptance: " in text
    with Ensemble(tmp_path / "sample" / "ensemble.h5") as ensemble:
        assert ensemble.phi.shape == (3000, 1, 4, 4)
    assert json.loads((tmp_path / "sample" / "result.json").read_text())["chain"]["length"] == 3000
    before = {path: path.read_bytes() for path in (tmp_path / "sample").iterdir()}
    code, text = command("sample", "--run", tmp_path / "run", "--out", tmp_path / "sample", "--chain_length=2000", "--resume")
    assert code == 2 and "other values of settings.batch_size, settings.length: use the same ones" in text
    assert all(path.read_bytes() == content for path, content in before.items())


def test_sampling_needs_a_run_folder(command, tmp_path):
    code, said = command("sample", "--run", tmp_path / "nope", "--out", tmp_path / "out")
    assert code == 2 and f"there is no run folder {tmp_path / 'nope'}" in said and not (tmp_path / "out").exists()


def test_baseline(command, tmp_path, monkeypatch):
    flags = ("--sampler=hmc", "--config=E1", "--lattice_size=4", "--chains=16", "--trajectories=200")
    code, text = command("baseline", *flags, "--out", tmp_path / "hmc", "--references", tmp_path / "references.yaml")
    assert code == 0 and "exp_minus_dh: " in text and "| schwinger_dyson " in text
    recorded = yaml.safe_load((tmp_path / "references.yaml").read_text())["E1"]["hmc"]
    assert recorded["command"] == command_line.command() and recorded["updates"] == 200
    with Ensemble(tmp_path / "hmc" / "ensemble.h5") as ensemble:
        assert ensemble.phi.shape == (20, 16, 4, 4)
    before = {path: path.read_bytes() for path in (tmp_path / "hmc").iterdir()}
    code, text = command("baseline", *flags, "--chains=8", "--resume", "--out", tmp_path / "hmc")
    assert code == 2 and "other values of settings.chains: use the same ones" in text
    assert all(path.read_bytes() == content for path, content in before.items())
    measured = Result.from_json(json.loads((tmp_path / "hmc" / "result.json").read_text()))
    bad = measured.checks[0]._replace(name="halves", verdict="bad")
    monkeypatch.setattr(production, "measure_run", lambda *_: dataclasses.replace(measured, checks=[bad]))
    code, text = command("baseline", *flags, "--resume", "--out", tmp_path / "hmc", "--references", tmp_path / "others.yaml")
    assert code == 1 and "| schwinger_dyson " in text and "not recorded as a reference" in text and "halves bad" in text
    assert not (tmp_path / "others.yaml").exists() and not json.loads((tmp_path / "hmc" / "result.json").read_text())["trusted"]


def test_unknown_samplers_and_results_that_cannot_be_recorded(command, tmp_path):
    code, said = command("baseline", "--sampler=hcm", "--config=E1", f"--out={tmp_path / 'out'}")
    assert code == 2 and "unknown sampler 'hcm': did you mean 'hmc'?" in said and not (tmp_path / "out").exists()
    code, said = command("baseline", "--sampler=metropolis", "--config=E1", "--shape=5,6", f"--out={tmp_path / 'out'}")
    assert code == 2 and "a checkerboard needs every extent even" in said and not (tmp_path / "out").exists()
    code, said = command("benchmark", f"--record={tmp_path}", f"--record_to={tmp_path / 'runs.yaml'}")
    assert code == 2 and "result.json" in said and not (tmp_path / "runs.yaml").exists()
    assert command("benchmark")[0] == 2
