"""Every script, as a user runs it."""

import csv
import importlib.util
import json
import os
import subprocess
import sys

import pytest
from absl.testing import flagsaver

from lattice_flows import command_line
from lattice_flows.command_line import CONFIGS
from lattice_flows.io.ensembles import Ensemble

ROOT = CONFIGS.parent
TINY = ("--steps=20", "--max_minutes=0.5")


def run(script, *flags):
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *map(str, flags)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    out = tmp_path_factory.mktemp("quick")
    text = run("reproduce", "--table=E1", "--quick", f"--out={out}")
    return out / "E1", text


def test_reproduce_leaves_all_it_promises(quick):
    folder, text = quick
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    figures = ("training_history", "zero_momentum_green", "effective_mass", "rejection_runs")
    expected = {f"figures/{figure}.{kind}" for figure in figures for kind in ("png", "pdf")}
    expected |= {"result.json", "table.md", "metrics.csv", "config.yaml", "environment.json", "ensemble.h5", "weights.npz"}
    assert names >= expected
    assert (folder / "table.md").read_text().strip() in text.replace("\r", "")


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
        assert len(ensemble) == result["chain"]["length"] == len(ensemble["accepted"])
        assert ensemble["phi"].shape[1:] == (6, 6)
        assert ensemble["accepted"].mean() == pytest.approx(result["chain"]["acceptance"])
        repeated = (ensemble["phi"][1:] == ensemble["phi"][:-1]).all(axis=(1, 2))
        assert (repeated == ~ensemble["accepted"][1:]).all()


@pytest.fixture(scope="module")
def script():
    """The script as a module, so that many refusals need not import TensorFlow many times."""
    spec = importlib.util.spec_from_file_location("reproduce", ROOT / "scripts" / "reproduce.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def refused(script, monkeypatch, capsys):
    """Calls the script with flags that it refuses: its exit code and what it says."""

    def call(*flags):
        monkeypatch.setattr(sys, "argv", ["reproduce.py", *flags])
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as exit_of:
            command_line.main(script.main)
        return exit_of.value.code, "".join(capsys.readouterr())

    return call


def test_a_folder_in_use_is_refused_and_untouched(quick, refused):
    before = {path: path.read_bytes() for path in quick[0].rglob("*.json")}
    code, said = refused("--table=E1", "--quick", f"--out={quick[0].parent}")
    assert code == 2 and "already in use" in said
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--table=E9"], 1, "value should be one of <E1|E2|E3|E4|E5|L16|L20|L32|L64|all>"),
        (["--table=E1", "--lattice_size=7"], 2, "checkerboard couplings need every extent even, but the lattice (7, 7) has 7"),
        (["--table=E1", "--device=gpu:5"], 2, "device 'gpu:5' is not there; available: cpu:0"),
        (["--table=E1", "--flow=afine"], 2, "unknown flow 'afine': did you mean 'affine'?"),
        (["--table=E1", "--target_acceptance=70"], 2, "'training.target_acceptance' has the value 70.0"),
        (["--table=E1", "--chain_length=10"], 2, "'chain.length' has the value 10: input should be greater than or equal to 1000"),
        (["--table=E1", "E2"], 1, "unexpected argument 'E2': every option is a flag"),
    ],
)
def test_bad_flags_are_named_and_nothing_is_written(refused, tmp_path, flags, code, message):
    found, said = refused(*flags, f"--out={tmp_path / 'out'}")
    assert found == code and message in said
    assert not (tmp_path / "out").exists()


def test_train_then_sample(tmp_path):
    flags = ("--config", CONFIGS / "E1.yaml", "--lattice_size=4", "--flow=affine_dense")
    run("train", *flags, "--out", tmp_path / "run", *TINY)
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["20"]
    text = run("sample", "--run", tmp_path / "run", "--out", tmp_path / "sample", "--chain_length=3000")
    assert "two_point_susceptibility" in text and "acceptance: " in text
    with Ensemble(tmp_path / "sample" / "ensemble.h5") as ensemble:
        assert ensemble["phi"].shape == (3000, 4, 4)
    assert json.loads((tmp_path / "sample" / "result.json").read_text())["chain"]["length"] == 3000


def test_baseline(tmp_path):
    flags = ("--sampler=hmc", "--config", CONFIGS / "E1.yaml", "--lattice_size=4", "--chains=16", "--trajectories=200")
    text = run("baseline", *flags, "--out", tmp_path / "hmc", "--references", tmp_path / "references.yaml")
    assert "exp_minus_dh: " in text and "| schwinger_dyson |" in text
    assert "command: python " in (tmp_path / "references.yaml").read_text()
    with Ensemble(tmp_path / "hmc" / "ensemble.h5") as ensemble:
        assert ensemble["phi"].shape == (20, 16, 4, 4)
