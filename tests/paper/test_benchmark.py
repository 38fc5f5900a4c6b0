"""Benchmarks: that they measure what they say; the numbers themselves are the machine's."""

import importlib.util
import io
import json
import sys

import pytest
import yaml
from lattice_flows.paper import benchmark, cost
from rich.console import Console

from lattice_flows.command_line import CONFIGS
from lattice_flows.config import load
from lattice_flows.progress import Progress

HAS_TORCH = importlib.util.find_spec("torch") is not None


def finished_run(folder, seed, acceptances, **training):
    folder.mkdir()
    config = load(CONFIGS / "E1.yaml", {"training": training})
    (folder / "config.yaml").write_text(config.dump())
    result = {
        "table": "E1",
        "flow": "affine",
        "seed": seed,
        "training": {"parameters": 10, "steps": 30, "seconds": 3.0, "compile_seconds": 1.0},
        "chain": {
            "acceptance": acceptances[-1],
            "ess": 0.5,
            "tau_int": 0.7,
            "samples_per_second": 1000.0,
            "integration_error": {"mean": 0.0},
        },
        "observables": {
            "a": {"pull": -1.5, "tau_int": 0.8},
            "b": {"pull": 0.5, "tau_int": 0.6},
            "c": {"pull": None, "tau_int": None},
        },
    }
    environment = {"command": ["reproduce.py"], "cpu_count": 2, "platform": "Linux", "tensorflow": "2.21.0", "commit": "abc"}
    (folder / "result.json").write_text(json.dumps(result))
    (folder / "environment.json").write_text(json.dumps(environment))
    rows = [f"{6 * i},{a},{a}" for i, a in enumerate(acceptances, start=1)]
    (folder / "metrics.csv").write_text("\n".join(["seconds,acceptance,ess", *rows]) + "\n")
    return folder


def test_runs_are_recorded_and_summed_up_by_medians(tmp_path):
    path = tmp_path / "runs.yaml"
    for seed, acceptances in [(1, [0.4, 0.55, 0.75]), (2, [0.6, 0.65, 0.72]), (3, [0.3, 0.4, 0.6])]:
        benchmark.record(finished_run(tmp_path / str(seed), seed, acceptances), path)
    entry = yaml.safe_load(path.read_text())["affine"]["E1"][1]
    assert entry["seconds_to"] == {0.5: 12.0, 0.7: 18.0, 0.85: None} and entry["largest_pull"] == 1.5
    # Times to 50 %: 12, 6, 18; to 70 %: 18, 18, never; to 85 %: never.
    row = "| affine | E1 | 3 | 10 | 30 | 3 | 12 | 18 |  | 0.720 | 0.500 | 0.70 | 0.60 to 0.80 | 1.5 | 100 | 1000 |"
    assert row in benchmark.variants_table(path)
    # After 15 s, the second evaluations count: 0.55, 0.65 and 0.4.
    assert "| E1 | affine |  | 0.550, 0.550 |  |  | 0.720, 0.720 | 18 | 0.51 |" in benchmark.progress_table(path)


def test_a_run_recorded_again_replaces_its_predecessor(tmp_path):
    path = tmp_path / "runs.yaml"
    benchmark.record(finished_run(tmp_path / "a", 1, [0.4]), path)
    benchmark.record(finished_run(tmp_path / "b", 1, [0.6]), path)
    assert yaml.safe_load(path.read_text())["affine"]["E1"][1]["acceptance"] == 0.6


def test_runs_to_a_mark_are_kept_apart(tmp_path):
    path = tmp_path / "runs.yaml"
    benchmark.record(finished_run(tmp_path / "a", 1, [0.6], target_acceptance=0.5), path)
    benchmark.record(finished_run(tmp_path / "b", 1, [0.9]), path)
    assert {flow: runs["E1"][1]["acceptance"] for flow, runs in yaml.safe_load(path.read_text()).items()} == {
        "affine": 0.9,
        "affine to 50%": 0.6,
    }


def test_every_trial_is_a_configuration():
    for override in yaml.safe_load(benchmark.TRIALS.read_text()).values():
        load(CONFIGS / "E2.yaml", override)


def test_a_trial_takes_the_time_it_is_given(tmp_path, small_config):
    config = small_config(CONFIGS / "flows" / "affine_conv.yaml", {"flow": {"layers": 2}})
    found = benchmark.trial(config, 0.5, tmp_path / "run", Progress(Console(file=io.StringIO())))
    assert found["steps"] == pytest.approx(500 / found["step_ms"], rel=0.05, abs=1) and 0 < found["acceptance"] < 1
    assert "| one | " in benchmark.trials_table({"one": {"E1": found}})


def test_a_python_without_torch_is_named(small_config):
    config = small_config(CONFIGS / "flows" / "affine_conv.yaml", {"flow": {"layers": 2}})
    with pytest.raises(RuntimeError, match=r"cannot be run with .*false: is torch installed there"):
        benchmark.step_times(config, "/bin/false", rounds=1, steps=1)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_TORCH, reason="PyTorch is not installed")
@pytest.mark.parametrize("table", ["E1", "E3", "E5"])
def test_a_step_of_the_common_network_takes_half_of_pytorchs_time(table):
    config = load(CONFIGS / f"{table}.yaml", CONFIGS / "flows" / "affine_conv.yaml")
    assert benchmark.step_times(config, sys.executable, rounds=7, steps=10)["ratio"] < 0.5


def test_cost_of_an_independent_configuration(tmp_path):
    rows = {
        "affine": {"milliseconds_per_update": 0.1, "tau_int": 0.6, "training_seconds": 30.0},
        "hmc": {"milliseconds_per_update": 0.02, "tau_int": 2.0, "training_seconds": 0.0},
    }
    cost.write({"E1": rows}, tmp_path / "cost.yaml")
    table = cost.cost_table(tmp_path / "cost.yaml")
    # 2 x 0.6 x 0.1 ms, and 30 s over 10^6 configurations; 2 x 2 x 0.02 ms.
    assert "| E1 | affine | 0.1 | 0.60 | 0.12 | 0.15 |" in table
    assert "| E1 | hmc | 0.02 | 2.00 | 0.08 | 0.08 |" in table
