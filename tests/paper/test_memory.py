"""Memory of chains by their length, each measured in a process of its own."""

import json
import subprocess

import pytest

from lattice_flows.io.files import RunError
from lattice_flows.paper import memory
from lattice_flows.progress import Progress

ROW = {"length": 100_000, "peak": 900, "after_sampling": 700, "disk": 32, "sampling_seconds": 9.5, "measuring_seconds": 2.5}


def test_what_a_process_reports_becomes_a_row_of_the_table(monkeypatch):
    def run(command, **_):
        assert command[1:5] == ["-m", "lattice_flows.paper.memory", "E1", "100000"]
        return subprocess.CompletedProcess(command, 0, f"a line\n{json.dumps(ROW)}\n", "")

    monkeypatch.setattr(memory.subprocess, "run", run)
    found = memory.measure("E1", [100_000], Progress(quiet=True))
    assert found == [ROW]
    last = memory.table(found).splitlines()[-1]
    assert [cell.strip() for cell in last.strip("|").split("|")] == ["1e+05", "900", "700", "32", "9.5", "2.5"]


def test_a_process_that_fails_is_reported_in_one_line(monkeypatch):
    monkeypatch.setattr(
        memory.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, "", "trace\nthe end")
    )
    with pytest.raises(RunError, match="the chain of 10 configurations could not be drawn and measured: the end"):
        memory.measure("E1", [10], Progress(quiet=True))


@pytest.mark.slow
def test_memory_grows_with_what_the_chain_of_weights_takes():
    """Ten times as many configurations: 64 bytes for each of them, and the bins, which are full at 2^18."""
    short, long = memory.measure("E1", [100_000, 1_000_000], Progress(quiet=True))
    assert long["peak"] < 2000 and long["peak"] - short["peak"] < 700
