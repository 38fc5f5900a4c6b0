"""Files in which commands record what they have measured."""

import pytest

from lattice_flows.io.files import RunError
from lattice_flows.paper import records


def test_a_clone_keeps_its_own_records(tmp_path):
    assert records.record_file(records.RUNS) == records.RUNS
    assert records.record_file(records.RUNS, tmp_path / "mine.yaml") == tmp_path / "mine.yaml"


def test_an_installed_package_is_not_written_to(tmp_path):
    installed = tmp_path / "site-packages" / "lattice_flows" / "paper" / "runs.yaml"
    installed.parent.mkdir(parents=True)
    with pytest.raises(RunError, match=r"runs.yaml: it belongs to an installed package. .* name a file of your own"):
        records.record_file(installed)
    assert records.record_file(installed, tmp_path / "mine.yaml") == tmp_path / "mine.yaml"


def test_a_record_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "record.yaml"
    assert records.read_record(path) == {}
    records.write_record(path, "What it is.", {"b": 1, "a": [0.5, None]}, sort_keys=False)
    assert records.read_record(path) == {"b": 1, "a": [0.5, None]}
    assert path.read_text().startswith("# What it is.\nb: 1\n")
