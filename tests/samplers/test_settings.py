"""What samplers refuse that are built from Python, where no configuration is checked: a chain that never moves has no errors."""

import numpy as np
import pytest
import tensorflow_probability as tfp

from lattice_flows.actions import ScalarPhi4
from lattice_flows.flows import Flow
from lattice_flows.importance import WeightedSampler
from lattice_flows.lattice import Lattice
from lattice_flows.priors import normal
from lattice_flows.samplers import HMC, PCN, Annealed, Cluster, FlowHMC, FourierHMC, LocalMetropolis, Tempering
from lattice_flows.samplers.settings import check_at_least

ACTION = ScalarPhi4(Lattice((2, 2)), m2=1.0, lam=1.0)
PROPOSALS = WeightedSampler(Flow(ACTION.lattice, normal(ACTION.lattice), tfp.bijectors.Identity()), ACTION, 8, seed=1)
OF_ACTIONS, OF_FLOWS = (HMC, FourierHMC, Tempering, LocalMetropolis, Cluster), (FlowHMC, PCN)
BELOW_ONE = [
    *((kind, "chains", value) for kind in OF_ACTIONS + OF_FLOWS for value in (0, 2.5)),
    *((kind, "leapfrog_steps", value) for kind in (HMC, FourierHMC, Tempering) for value in (0, -3)),
    *((kind, "kick_steps", 0) for kind in (FlowHMC, Annealed)),
    (Annealed, "temperatures", 0),
]


def build(kind, **settings):
    return kind(ACTION if kind in OF_ACTIONS else PROPOSALS, **settings)


@pytest.mark.parametrize(("kind", "name", "value"), BELOW_ONE)
def test_numbers_below_one(kind, name, value):
    with pytest.raises(ValueError, match=f"^{name} must be an integer, 1 or more, not {value}$"):
        build(kind, **{name: value})


@pytest.mark.parametrize("kind", [FlowHMC, Annealed])
def test_fewer_than_no_panels(kind):
    with pytest.raises(ValueError, match=r"^panels must be an integer, 0 or more, not -1$"):
        build(kind, panels=-1)


@pytest.mark.parametrize("kind", OF_ACTIONS + OF_FLOWS)
def test_acceptances_that_no_chain_has(kind):
    for value in (1.5, 0, 1, float("nan")):
        with pytest.raises(ValueError, match=f"^target_acceptance must lie between 0 and 1, not {value}$"):
            build(kind, target_acceptance=value)


def test_a_mass_that_no_momentum_has():
    with pytest.raises(ValueError, match=r"^mass_squared must be positive, not -1\.0: leave it out to have it measured$"):
        build(FourierHMC, mass_squared=-1.0)


def test_defaults_and_integers_of_numpy_are_right():
    check_at_least(1, chains=np.int64(1), kick_steps=None)
