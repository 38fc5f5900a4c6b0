"""Agreement of results with their references, and of samplers with each other."""

import dataclasses

import pytest

from lattice_flows.config import ConfigError
from lattice_flows.measurement.errors import Estimate
from lattice_flows.paper.cases import TABLES, Case
from lattice_flows.paper.comparison import compared, sampler_agreement
from lattice_flows.paper.ingredients import stored
from lattice_flows.paper.references import baselines


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


@pytest.mark.parametrize("flow", ["affine", "continuous"])
@pytest.mark.parametrize("table", TABLES)
def test_samplers_agree(flow, table):
    found = sampler_agreement([stored(flow, Case(table)), *baselines([table]).values()])
    assert found.chi_square > 0 and found.p > 0.01


def test_agreement_sees_a_wrong_observable():
    wrong = shifted(stored("affine", Case("E5")), "ising_energy", 6)
    assert sampler_agreement([wrong, *baselines(["E5"]).values()]).p < 1e-4


def test_different_physics_is_never_compared():
    hmc = baselines(["E5", "E4"])
    for result, message in (
        (hmc["E4", "hmc"], r"hmc has the lattice \(14, 14\) and the action .*, hmc has \(12, 12\)"),
        (dataclasses.replace(hmc["E5", "hmc"], action={"name": "scalar_phi4", "m2": -4.0, "lam": 7.0}), "'lam': 7.0"),
    ):
        with pytest.raises(ConfigError, match=message):
            sampler_agreement([hmc["E5", "hmc"], result])


def test_observables_without_an_error_are_left_out():
    result, hmc = stored("affine", Case("E5")), baselines(["E5"])["E5", "hmc"]
    row = result.observables["ising_energy"]
    without = {**result.observables, "ising_energy": row._replace(estimate=None)}
    assert sampler_agreement([dataclasses.replace(result, observables=without), hmc]).p > 0.01
    none = {name: row._replace(estimate=None) for name in result.observables}
    with pytest.raises(ConfigError, match="no observable with an error in common"):
        sampler_agreement([dataclasses.replace(result, observables=none), hmc])
