"""How far flows reach: that the figure shows the stored numbers; how it looks is for the eye."""

import dataclasses
import math

import pytest

from lattice_flows.paper import comparison, cost_record, volume
from lattice_flows.paper.cases import Case
from lattice_flows.paper.ingredients import stored
from lattice_flows.progress import Progress


def lines(axes):
    return {line.get_label(): dict(zip(*line.get_data(), strict=True)) for line in axes.get_lines()}


def test_the_figure_shows_the_stored_numbers():
    left, right = volume.draw(volume.stored_results()).figure.axes
    shown = lines(left)
    assert shown["affine"][14] == stored("affine", Case("E5")).chain["ess"]
    assert {6, 8, 10, 12, 14} <= set(shown["continuous"]) and shown["arXiv:2207.00283"] == {32: 0.9038}
    assert lines(right) == cost_record.curves()


def test_the_figure_and_its_numbers_are_written(tmp_path):
    assert volume.reproduce(tmp_path, Progress(quiet=True))
    assert (tmp_path / "figures" / "volume.pdf").exists()
    text = (tmp_path / "figures" / "volume.md").read_text()
    (row,) = [line for line in text.splitlines() if line.startswith("| E5 |") and "| affine |" in line]
    per_site = -math.log(stored("affine", Case("E5")).chain["ess"]) / 14**2
    assert float(row.split("|")[-2]) == pytest.approx(1e5 * per_site, abs=0.01)


def test_results_are_compared_with_the_references_of_today(monkeypatch):
    today = comparison.reference

    def far(lattice_shape, action):
        found = today(lattice_shape, action)
        row = found.observables["phi_squared"]
        moved = row._replace(estimate=row.estimate._replace(value=2 * row.estimate.value))
        return dataclasses.replace(found, observables={"phi_squared": moved})

    monkeypatch.setattr(comparison, "reference", far)
    results = volume.stored_results()
    assert results and not any(result.passed for result in results)


def test_the_cost_of_an_independent_value(tmp_path):
    rows = {"samplers": {"cluster": {"milliseconds_per_update": 0.02, "tau_int": 2.0}}}
    path = cost_record.record({"E1": rows, "L32": rows, "3d_L8": rows}, tmp_path / "cost.yaml")
    assert cost_record.curves(path) == {"cluster": {6: pytest.approx(0.08), 32: pytest.approx(0.08)}}
