"""From an ensemble to a result: proposals that were rejected for their weights, and an action that is another one."""

import json

import numpy as np
import pytest

from lattice_flows.actions import ScalarPhi4
from lattice_flows.config import ConfigError
from lattice_flows.errors import UserError
from lattice_flows.io.ensembles import EnsembleWriter
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.analysis import measure
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


def test_proposals_without_a_finite_weight_have_weight_zero():
    result = measure(ensemble_of([(7, np.nan), (20, np.inf), (50, -np.inf)]))
    assert result.chain["non_finite_weights"] == 3
    assert result.chain["ess"] == pytest.approx(197 / 200) and result.chain["log_z"] == pytest.approx(np.log(197 / 200))
    good = np.delete(np.random.default_rng(1).normal(scale=0.4, size=(200, 4, 4)), [7, 20, 50], axis=0)
    assert result.observables["phi_squared"].reweighted.value == pytest.approx(np.mean(good**2))
    json.dumps(result.to_json(), allow_nan=False)
    assert measure(ensemble_of()).chain["non_finite_weights"] == 0


def test_a_flow_without_any_finite_weight_is_refused():
    ensemble = ensemble_of([(row, np.nan) for row in range(1, 200)])
    ensemble._file["log_weight"][0] = np.nan
    with pytest.raises(UserError, match="none of 200 proposals has a finite weight: the flow is broken"):
        measure(ensemble)


def test_another_action_is_refused():
    ensemble = ensemble_of()
    assert measure(ensemble, ACTION) == measure(ensemble)
    with pytest.raises(ConfigError, match=r"drawn with the action .*'lam': 0.5.*, not with .*'lam': 0.7"):
        measure(ensemble, ScalarPhi4(Lattice((4, 4)), m2=1.0, lam=0.7))
    with pytest.raises(ConfigError, match=r"drawn on the lattice \(4, 4\), the action is on \(6, 6\)"):
        measure(ensemble, ScalarPhi4(Lattice((6, 6)), m2=1.0, lam=0.5))
