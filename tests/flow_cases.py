"""The flows that the conformance tests go through: every preset, and every registered part."""

import functools
import inspect
from typing import get_args

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.bijectors import EquivariantODE, FourierScaling, SinhArcsinh
from lattice_flows.config import CONFIGS, Component, ConfigError, Registry, load
from lattice_flows.flows import FLOWS, Flow, for_action
from lattice_flows.lattice import Lattice
from lattice_flows.priors import normal

SHAPES = [(2, 4), (2, 2, 4), (2, 2, 2, 2)]
INTEGRATION_STEPS = 2  # a step ends at every knot of depth 3


def presets() -> dict[str, Component]:
    """The flows of configs/flows."""
    paths = sorted((CONFIGS / "flows").glob("*.yaml"))
    configs = {path.stem: load(CONFIGS / "E1.yaml", path) for path in paths}
    return {name: for_action(config.flow, config.action) for name, config in configs.items()}


def parts() -> dict[str, Component]:
    """A flow with each registered part that no preset has, in place of the default."""
    used = str(list(presets().values()))
    found = {name: Component(name=name) for name in FLOWS if f"name='{name}'" not in used}
    for flow, build in FLOWS.items():
        for key, parameter in inspect.signature(build).parameters.items():
            for registry in filter(lambda mark: isinstance(mark, Registry), get_args(parameter.annotation)):
                for name in registry:
                    if f"'{name}'" not in used and name != flow:
                        found[f"{flow} with {name}"] = Component(name=flow, **{key: {"name": name}})
    return found


PRESETS, PARTS = presets(), parts()
COMPONENTS = PRESETS | PARTS
CHAIN = "differential equation in a chain"
# What these are made of, other cases have, too: pairs are in the chain, and a prior serves affine and continuous flows alike.
REPEATED = ("affine_deep", "continuous_long_range", "continuous_pairs", "continuous with quartic")


def cases(names, slow=REPEATED):
    """The names of flows as parameters of a test, of which some are for the slow tests."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in names]


def shallow(component: Component, depth: int) -> Component:
    """The flow with no whole number above a depth: layers, knots in time, features."""
    settings = FLOWS.completed(component).parameters
    cut = {key: min(value, depth) for key, value in settings.items() if isinstance(value, int) and not isinstance(value, bool)}
    # Of a flow that is made of another one, the depth of that one.
    cut |= {"of": shallow(settings["of"], depth)} if "of" in settings else {}
    return Component(name=component.name, **(settings | cut))


def build(name: str, shape=(4, 4), depth=3, seed=11, integration_steps=INTEGRATION_STEPS) -> Flow:
    """A flow as training starts it."""
    lattice = Lattice(shape)
    if name == CHAIN:
        pairs = {"pair_frequencies": 1, "pair_features": 1, "pair_radius": 1.5}
        terms = pairs | {"zero_mode": True, "mean_frequencies": 1, "smooth_lengths": (1.5,)}
        ode = EquivariantODE(lattice, features=2, knots=max(2, depth), steps=integration_steps, **terms)
        bijector = tfp.bijectors.Chain([FourierScaling(lattice), ode, SinhArcsinh(lattice.d)])
        symmetries = frozenset({"translation", "rotation", "reflection", "sign"})
        flow = Flow(lattice, normal(lattice), bijector, symmetries)
    else:
        try:
            flow = FLOWS.build(shallow(COMPONENTS[name], depth), lattice, seed)
        except ConfigError:  # no flow of depth one, such as an integration with a single knot
            flow = FLOWS.build(shallow(COMPONENTS[name], depth + 1), lattice, seed)
    flow.set_integration_steps(dict.fromkeys(flow.integration_steps, integration_steps))
    return flow


@functools.cache
def make(name: str, shape=(4, 4), depth=3, seed=11) -> Flow:
    """A flow away from where training starts, for there some parts are the identity."""
    return disturbed(build(name, shape, depth, seed))


def disturbed(flow: Flow, seed=11) -> Flow:
    rng = np.random.default_rng(seed)
    for variable in flow.trainable_variables:
        size = (0.2 if flow.exact else 0.05) / np.sqrt(variable.shape[:-1].num_elements() or 1)
        variable.assign_add(rng.uniform(-size, size, variable.shape))
    return flow


def fields(shape, n=5, dtype=np.float64, seed=12):
    return tf.constant(np.random.default_rng(seed).normal(size=(n, *shape)).astype(dtype))
