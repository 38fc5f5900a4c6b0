"""From an ensemble to a result: proposals that were rejected for their weights, and an action that is another one."""

import json

import numpy as np
import pytest

from lattice_flows.actions import ScalarPhi4
from lattice_flows.config import ConfigError
from lattice_flows.errors import UserError
from lattice_flows.io.segments import EnsembleWriter
from lattice_flows.lattice import Lattice
from lattice_flows.measurement import analysis
from lattice_flows.measurement.analysis import measure, measurements
from lattice_flows.measurement.observables import Measurements
from lattice_flows.measurement.series import measured

ACTION = ScalarPhi4(Lattice((4, 4)), m2=1.0, lam=0.5)


def ensemble_of(broken=(), n=200):
    """Accepted proposals of equal weight, some of which are broken and rejected instead."""
    phi = np.random.default_rng(1).normal(scale=0.4, size=(n, 4, 4))
    log_weight, accepted, index = np.zeros(n), np.ones(n, bool), np.arange(n)
    for row, value in broken:
        phi[row], log_weight[row], accepted[row], index[row] = value, value, False, index[row - 1]
    attributes = {
        "sampler": "independence",
        "lattice_shape": (4, 4),
        "action": ACTION.component,
        "seed": 1,
        "thermalisation": 0,
        "diagnostics": {"acceptance": 1.0},
    }
    with np.errstate(all="ignore"), EnsembleWriter(None, attributes) as writer:
        data = {"phi": phi.astype(np.float32), "log_weight": log_weight, "index": index, "accepted": accepted}
        writer.append(data, measured(phi, ACTION))
    return writer.ensemble


def chain_of(n=400, length=600, thermalisation=20, weights=None):
    """A chain that holds every proposal about as often as the next, some of them never; its fields, and its weights."""
    rng = np.random.default_rng(8)
    phi, log_weight = rng.normal(scale=0.4, size=(n, 4, 4)).astype(np.float32), rng.normal(size=n)
    log_weight = log_weight if weights is None else weights(phi, log_weight)
    index = np.sort(rng.integers(thermalisation - 5, n, length))
    attributes = {
        "sampler": "independence",
        "lattice_shape": (4, 4),
        "action": ACTION.component,
        "seed": 1,
        "thermalisation": thermalisation,
    }
    stored = {name: values for name, values in measured(phi, ACTION).items() if name not in ("phi_4", "nearest")}
    with EnsembleWriter(None, attributes) as writer:
        accepted = np.diff(index, prepend=-1) > 0
        writer.append({"phi": phi, "log_weight": log_weight, "index": index, "accepted": accepted}, stored)
    return writer.ensemble, phi, index, log_weight


def chains_of(sampler, n=100):
    """Two parallel chains of a sampler in which M is positive."""
    phi = np.random.default_rng(2).normal(loc=1.0, scale=0.2, size=(n, 2, 4, 4))
    attributes = {"sampler": sampler, "lattice_shape": (4, 4), "action": ACTION.component, "seed": 1}
    attributes["diagnostics"] = {"exp_minus_dh": 1.0, "exp_minus_dh_error": 0.01}
    with EnsembleWriter(None, attributes) as writer:
        writer.append({"phi": phi.astype(np.float32)}, measured(phi, ACTION))
    return writer.ensemble


@pytest.mark.parametrize(("sampler", "advice"), [("flow_hmc", "train a flow"), ("pcn", "train a flow"), ("hmc", "tempering")])
def test_the_advice_is_for_a_flow_where_the_sampler_needs_one(sampler, advice):
    advices = {check.name: check.advice for check in measure(chains_of(sampler)).checks}
    assert advice in advices["sign_flips"]


@pytest.mark.parametrize("configurations", [2**16, 37])
def test_an_index_counts_like_copies_and_a_weight_like_a_weight(configurations, monkeypatch):
    """Read at once or in small parts, which measure what the ensemble lacks."""
    monkeypatch.setattr(analysis, "_CONFIGURATIONS", configurations)
    ensemble, phi, index, log_weight = chain_of()
    chain, proposals = measurements(ensemble, ACTION)
    copies = Measurements.of(ACTION, phi[index][:, np.newaxis])
    assert chain.shape == copies.shape == (600, 1) and chain.longest_stay == np.bincount(index).max()
    weighted = Measurements.of(ACTION, phi[20:, np.newaxis], np.exp(log_weight[20:, np.newaxis] - log_weight[20:].max()))
    for found, expected in ((chain, copies), (chain.part(100, 400), copies.part(100, 400)), (proposals, weighted)):
        for name in ("phi_squared", "phi_fourth", "two_point_susceptibility", "binder_cumulant", "schwinger_dyson"):
            assert found.estimate(name) == pytest.approx(expected.estimate(name), rel=1e-9), name


def test_an_index_that_goes_back_is_refused():
    ensemble = chain_of()[0]
    ensemble._file["index"][10] = 399
    with pytest.raises(UserError, match="goes back to earlier proposals"):
        measurements(ensemble, ACTION)


def test_proposals_without_a_finite_weight_have_weight_zero():
    result = measure(ensemble_of([(7, np.nan), (20, np.inf), (50, -np.inf)], n=400))
    assert result.chain["non_finite_weights"] == 3
    assert result.chain["ess"] == pytest.approx(397 / 400) and result.chain["log_z"] == pytest.approx(np.log(397 / 400))
    good = np.delete(np.random.default_rng(1).normal(scale=0.4, size=(400, 4, 4)), [7, 20, 50], axis=0)
    assert result.observables["phi_squared"].reweighted.value == pytest.approx(np.mean(good**2))
    json.dumps(result.to_json(), allow_nan=False)
    assert measure(ensemble_of()).chain["non_finite_weights"] == 0


def test_too_few_proposals_have_no_weighted_means():
    for n, known in ((199, False), (201, True)):
        result = measure(ensemble_of(n=n))
        assert (result.observables["phi_squared"].reweighted is not None) == known
        assert {check.name: check.verdict for check in result.checks}["effective_proposals"] == ("doubtful" if known else "bad")


def test_a_flow_without_any_finite_weight_is_refused():
    ensemble = ensemble_of([(row, np.nan) for row in range(1, 200)])
    ensemble._file["log_weight"][0] = np.nan
    with pytest.raises(UserError, match="none of 200 proposals has a finite weight: the flow is broken"):
        measure(ensemble)


def test_an_ensemble_of_no_lattice_is_refused():
    ensemble = ensemble_of()
    ensemble.attributes["lattice_shape"] = []
    with pytest.raises(ConfigError, match="the ensemble was drawn on no lattice: a lattice has 1 to 4 dimensions"):
        measure(ensemble)


def test_another_action_is_refused():
    ensemble = ensemble_of()
    assert measure(ensemble, ACTION) == measure(ensemble)
    with pytest.raises(ConfigError, match=r"drawn with the action .*'lam': 0.5.*, not with .*'lam': 0.7"):
        measure(ensemble, ScalarPhi4(Lattice((4, 4)), m2=1.0, lam=0.7))
    with pytest.raises(ConfigError, match=r"drawn on the lattice \(4, 4\), the action is on \(6, 6\)"):
        measure(ensemble, ScalarPhi4(Lattice((6, 6)), m2=1.0, lam=0.5))


def test_the_variance_of_log_weights_is_taken_from_proposals_after_thermalisation():
    """Log weights that are functions of the field there, to the rounding of stored fields, and anything before."""

    def weights(phi, anything):
        return np.where(np.arange(len(phi)) < 100, anything, np.sum(phi**4, axis=(1, 2)))

    found = measure(chain_of(n=1500, length=1000, thermalisation=100, weights=weights)[0]).weight_variance
    assert found.proposals == 1400 and found.alone["short_distances"].value == pytest.approx(1, abs=1e-6)
