"""Agreement of results with their references."""

import dataclasses

import pytest

from lattice_flows.measurement.errors import Estimate
from lattice_flows.paper.cases import TABLES, Case
from lattice_flows.paper.comparison import compared
from lattice_flows.paper.ingredients import stored


def shifted(result, name, sigmas):
    row = result.observables[name]
    wrong = row.estimate._replace(value=row.estimate.value + sigmas * row.estimate.error)
    return dataclasses.replace(result, observables={**result.observables, name: row._replace(estimate=wrong)})


def test_stored_results_stand_beside_the_references_of_today():
    result = stored("affine", Case("E3"))
    bare = dataclasses.replace(
        result,
        observables={
            name: row._replace(published=None, reference=row.reference if name == "schwinger_dyson" else None)
            for name, row in result.observables.items()
        },
    )
    assert compared(bare).to_json() == result.to_json()
    assert result.observables["schwinger_dyson"].reference == Estimate(1.0, 0.0)
    assert result.observables["pole_mass_times_l"].published == Estimate(4.0, 0.04)


@pytest.mark.parametrize("sigmas", [0, 10])
def test_a_wrong_observable_fails(sigmas):
    assert compared(shifted(stored("affine", Case("E3")), "ising_energy", sigmas)).passed == (sigmas == 0)


@pytest.mark.parametrize("flow", ["affine", "continuous"])
@pytest.mark.parametrize("table", TABLES)
def test_results_are_as_accurate_as_the_paper_is_to_be_reproduced(flow, table):
    result = stored(flow, Case(table))
    assert result.passed
    for name, share in (("two_point_susceptibility", 0.005), ("ising_energy", 0.002)):
        row = result.observables[name]
        assert abs(row.estimate.value / row.reference.value - 1) < share, name
