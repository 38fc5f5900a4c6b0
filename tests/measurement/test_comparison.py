"""Agreement of samplers with each other."""

import dataclasses

import pytest

from lattice_flows.config import ConfigError
from lattice_flows.measurement.comparison import independent, sampler_agreement
from lattice_flows.paper.cases import TABLES, Case
from lattice_flows.paper.ingredients import stored
from lattice_flows.paper.references import baselines


@pytest.mark.parametrize("flow", ["affine", "continuous"])
@pytest.mark.parametrize("table", TABLES)
def test_samplers_agree(flow, table):
    found = sampler_agreement([stored(flow, Case(table)), *baselines([table]).values()])
    assert found.chi_square > 0 and found.p > 0.01


def test_agreement_sees_a_wrong_observable():
    result = stored("affine", Case("E5"))
    row = result.observables["ising_energy"]
    estimate = row.estimate._replace(value=row.estimate.value + 6 * row.estimate.error)
    wrong = dataclasses.replace(result, observables={**result.observables, "ising_energy": row._replace(estimate=estimate)})
    assert sampler_agreement([wrong, *baselines(["E5"]).values()]).p < 1e-4


def test_different_physics_is_never_compared():
    hmc = baselines(["E5", "E4"])
    for result, message in (
        (hmc["E4", "hmc"], r"hmc has the lattice \(14, 14\) and the action .*, hmc has \(12, 12\)"),
        (dataclasses.replace(hmc["E5", "hmc"], action={"name": "scalar_phi4", "m2": -4.0, "lam": 7.0}), "'lam': 7.0"),
    ):
        with pytest.raises(ConfigError, match=message):
            sampler_agreement([hmc["E5", "hmc"], result])


def test_results_that_share_their_random_numbers_are_not_compared():
    affine, continuous = (stored(flow, Case("E5")) for flow in ("affine", "continuous"))
    hmc = baselines(["E5"])["E5", "hmc"]
    message = "two results of the sampler independence with the seed 1 share their random numbers"
    for other in (affine, continuous):
        assert not independent(affine, other)
        with pytest.raises(ConfigError, match=message):
            sampler_agreement([affine, hmc, other])
    later = dataclasses.replace(continuous, seed=2)
    assert independent(affine, later) and independent(affine, hmc) and sampler_agreement([affine, hmc, later]).p > 0.01


def test_observables_without_an_error_are_left_out():
    result, hmc = stored("affine", Case("E5")), baselines(["E5"])["E5", "hmc"]
    row = result.observables["ising_energy"]
    without = {**result.observables, "ising_energy": row._replace(estimate=None)}
    assert sampler_agreement([dataclasses.replace(result, observables=without), hmc]).p > 0.01
    none = {name: row._replace(estimate=None) for name in result.observables}
    with pytest.raises(ConfigError, match="no observable with an error in common"):
        sampler_agreement([dataclasses.replace(result, observables=none), hmc])
