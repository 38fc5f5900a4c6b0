"""Every configuration that comes with the package can be used."""

import re

import numpy as np
import pytest

from lattice_flows.config import CONFIGS, load
from lattice_flows.lattice import Lattice
from lattice_flows.pipeline import build_model, completed

WHOLE = [file for file in sorted(CONFIGS.rglob("*.yaml")) if file.parent.name not in ("flows", "training") and file.stem != "base"]
NAMES = [file.relative_to(CONFIGS).with_suffix("").as_posix() for file in WHOLE]


@pytest.mark.parametrize("name", NAMES)
def test_all_parts_and_parameters_are_known(name):
    config = completed(load(name))
    lattice, in_name = Lattice(config.lattice.shape), re.search(r"(?:\b|_)([234])[dC]", name)
    assert lattice.d == (int(in_name[1]) if in_name else 2)
    prior = config.flow.parameters.get("prior")
    if prior is not None and prior.name == "quartic":  # as in GomalizingFlow.jl; the action has m2 + 2d at each site
        m2, lam = (config.action.parameters[parameter] for parameter in ("m2", "lam"))
        assert prior.parameters == {"a": m2, "b": lam}


BUILT = ("4d_L4_broken", *(f"gomalizing_flow/{name}" for name in ("2C1", "3C2", "4C3", "3d_L4_broken", "2d_L8_lam8_quartic")))


@pytest.mark.parametrize("name", BUILT)
def test_flows_of_every_kind_can_be_built(name):
    flow, action = build_model(load(name))
    phi, log_q = flow.sample_and_log_prob(2, seed=[1, 2])
    assert phi.shape == (2, *action.lattice.shape)
    assert np.isfinite(log_q + action(phi)).all()
