"""The reproduction at full length: `pytest -m slow`, about half an hour on two cores."""

import json
import subprocess
import sys

import pytest

from lattice_flows.config import CONFIGS

ROOT = CONFIGS.parent

pytestmark = pytest.mark.slow


def reproduce(out, *flags):
    done = subprocess.run([sys.executable, ROOT / "scripts" / "reproduce.py", f"--out={out}", *flags], cwd=ROOT, check=True)
    assert done.returncode == 0
    return out


def test_e1_from_nothing_to_half_acceptance(tmp_path):
    folder = reproduce(tmp_path, "--table=E1", "--target_acceptance=0.55") / "E1"
    result = json.loads((folder / "result.json").read_text())
    assert result["chain"]["acceptance"] > 0.5 and result["training"]["seconds"] < 15 * 60
    for name, row in result["observables"].items():
        assert row["pull"] is None or abs(row["pull"]) < 3, name
    for name in ("two_point_susceptibility", "ising_energy", "pole_mass_times_l"):
        assert result["observables"][name]["error"] < 0.01 * result["observables"][name]["value"], name


def test_the_same_seed_gives_the_same_result(tmp_path):
    results = []
    for name in ("first", "second"):
        folder = reproduce(tmp_path / name, "--table=E1", "--quick", "--seed=3") / "E1"
        result = json.loads((folder / "result.json").read_text())
        for section, key in (("training", "seconds"), ("training", "compile_seconds"), ("chain", "samples_per_second")):
            del result[section][key]
        metrics = [line.rsplit(",", 1)[0] for line in (folder / "metrics.csv").read_text().splitlines()]
        results.append((result, metrics))
    assert results[0] == results[1]


@pytest.mark.parametrize("flow", ["affine", "continuous"])
@pytest.mark.parametrize("table", ["E2", "E3", "E4", "E5"])
def test_the_larger_ensembles_from_nothing(tmp_path, flow, table):
    """The exit code says that all observables are within four sigma of the references; these two are to be precise as well."""
    folder = reproduce(tmp_path, f"--table={table}", f"--flow={flow}", "--max_minutes=2", "--chain_length=100000") / table
    result = json.loads((folder / "result.json").read_text())
    for name, share in (("two_point_susceptibility", 0.006), ("ising_energy", 0.002)):
        row = result["observables"][name]
        assert row["error"] < share * row["value"] and abs(row["value"] - row["reference"]) < 4 * share * row["value"], name
