"""Small run folders, as runs leave them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from lattice_flows.config import CONFIGS, load
from lattice_flows.io.arrays import fingerprint, write_arrays
from lattice_flows.io.ensembles import ENSEMBLE
from lattice_flows.io.segments import EnsembleWriter

METRICS = "step,loss,ess,acceptance,log_z\n50,-6.0,0.8,0.7,6.9\n100,-6.9,0.9,0.9,6.98\n"
WEIGHTS = {"scale": np.ones(3, np.float32)}
ENVIRONMENT = {"lattice_flows": "0.1.0", "commit": None, "command": ["scripts/reproduce.py", "--out", "a <b>"]}


def begun(folder):
    """A run that has only just begun."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(load(CONFIGS / "E1.yaml").dump())
    (folder / "environment.json").write_text(json.dumps(ENVIRONMENT))
    return folder


def trained(folder):
    """The same with a finished training."""
    begun(folder)
    (folder / "metrics.csv").write_text(METRICS)
    write_arrays(folder / "weights.npz", WEIGHTS, {"summary": {"steps": 300}})
    return folder


def sampled(folder, *, chains=0, n=40):
    """A training with the proposals of its flow behind it, or a baseline with some chains."""
    begun(folder) if chains else trained(folder)
    rng = np.random.default_rng(1)
    shape = (n, chains, 6, 6) if chains else (n, 6, 6)
    made = {"sampler": "hmc" if chains else "independence", "lattice_shape": [6, 6], "seed": 1, "thermalisation": 4}
    made |= {"action": {"name": "scalar_phi4", "m2": -4.0, "lam": 6.975}, "settings": {"thinning": 10}}
    made |= {} if chains else {"flow": {"name": "affine"}, "weights": fingerprint(WEIGHTS)}
    phi = rng.normal(size=shape).astype(np.float32)
    with EnsembleWriter(folder / ENSEMBLE, made, end=n) as writer:
        if chains:
            writer.append({"phi": phi}, {})
        else:
            series = {"action_density": rng.normal(size=n)}
            index = np.arange(4, n)
            writer.append({"phi": phi, "log_weight": rng.normal(size=n), "index": index, "accepted": index > 0}, series)
    return folder


def measured(folder, result, **how):
    """The same with a result."""
    sampled(folder, **how)
    (folder / "result.json").write_text(json.dumps(result.to_json()))
    return folder


@pytest.fixture(scope="session")
def make():
    """Makes run folders: `make.sampled(folder)` and so on."""
    return SimpleNamespace(begun=begun, trained=trained, sampled=sampled, measured=measured)
