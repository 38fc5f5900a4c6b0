"""A new part is one class, one line and one configuration: toys from outside of the package go through everything."""

import inspect
import json
from typing import Annotated, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import yaml
from pydantic import PositiveInt

from lattice_flows.actions import ACTIONS, Action
from lattice_flows.bijectors import INNER_MAPS, FourierScaling, SinhArcsinh
from lattice_flows.command_line import main
from lattice_flows.config import CONFIGS, Component, Registry
from lattice_flows.flows import FLOWS, Flow
from lattice_flows.flows.components import build_prior, recorded
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.observables import OBSERVABLES, Measurements, observable
from lattice_flows.priors import PRIORS
from lattice_flows.samplers import SAMPLERS, Sampler, run_chain

LONGEST = 35  # lines of a part
SIGMAS = 4.0


class Sextic(Action):
    """S = sum_x [ a phi_x^2 + b phi_x^6 ] - sum_{x,mu} phi_x phi_{x+mu}.

    Args:
      lattice: the lattice.
      a: coefficient of phi^2.
      b: coefficient of phi^6.
    """

    name = "sextic"

    def __init__(self, lattice, *, a: float = 2.5, b: float = 0.1):
        super().__init__(lattice, a=a, b=b)

    def __call__(self, phi):
        neighbours = tf.add_n([tf.roll(phi, -1, axis) for axis in self.lattice.axes])
        squared, a, b = phi * phi, self.parameters["a"], self.parameters["b"]
        density = a * squared + b * squared**3 - phi * neighbours
        return tf.reduce_sum(tf.cast(density, tf.float64), self.lattice.axes)


class Stretch:
    """y = x exp(s): an inner map that leaves the mean alone."""

    parities = ("even",)
    keeps_sign = True

    def forward(self, x, s):
        return x * tf.exp(s), s

    def inverse(self, y, s):
        return y * tf.exp(-s), -s


class RandomWalk(Sampler):
    """Metropolis updates of the whole lattice: normal proposals around the present configuration.

    Args:
      action: the target is `exp(-S)`.
      chains: how many chains run at once.
      target_acceptance: not used.
      width: of the proposals.
    """

    name = "random_walk"

    class State(NamedTuple):
        phi: tf.Tensor

    class Info(NamedTuple):
        accepted: tf.Tensor

    def __init__(self, action, *, chains: int = 256, target_acceptance: float = 0.7, width: float = 0.2):
        super().__init__(action, chains=chains, target_acceptance=target_acceptance)
        self.width = width

    def init(self, seed):
        return self.State(self.near_zero(seed))

    def step(self, state, seed):
        noise = tf.random.stateless_normal(state.phi.shape, tf.random.fold_in(seed, 0), dtype=tf.float64)
        proposal = state.phi + self.width * noise
        uniform = tf.random.stateless_uniform([self.chains], tf.random.fold_in(seed, 1), dtype=tf.float64)
        accepted = tf.math.log(uniform) < self.action(state.phi) - self.action(proposal)
        moved = tf.reshape(accepted, [self.chains] + [1] * self.action.lattice.d)
        return self.State(tf.where(moved, proposal, state.phi)), self.Info(accepted)


FREE_FIELD = Component(name="free_field")


@recorded("pointwise")
def pointwise(
    lattice: Lattice,
    seed: int = 1,
    *,
    pairs: PositiveInt = 2,
    prior: Annotated[Component, PRIORS] = FREE_FIELD,
) -> Flow:
    """Builds scalings in momentum space and element-wise maps in turn.

    Args:
      lattice: the lattice.
      seed: not used; every map begins as the identity.
      pairs: number of scalings, and of element-wise maps.
      prior: the distribution of z.
    """
    bijectors = []
    for pair in range(pairs):
        with tf.name_scope(f"pair_{pair}"):  # names its weights
            bijectors += [SinhArcsinh(lattice.d), FourierScaling(lattice)]
    symmetries = frozenset({"translation", "rotation", "reflection", "sign"})
    return Flow(lattice, build_prior(prior, lattice), tfp.bijectors.Chain(bijectors), symmetries)


def kurtosis(m: Measurements):
    """`<phi^4> / <phi^2>^2`, which is 3 for a Gaussian field."""
    return m.mean("phi_4") / m.mean("phi_2") ** 2


PARTS = [Sextic, Stretch, RandomWalk, kurtosis, pointwise]
CONFIGURATION = {
    "lattice": {"shape": [4, 4]},
    "action": {"name": "sextic", "a": 2.2},
    "flow": {"name": "affine", "layers": 2, "partitions": ["checkerboard"], "fourier_scaling": False, "inner": {"name": "stretch"}},
    "training": {
        "steps": 60,
        "evaluate_every": 60,
        "gradient": "reparameterisation",
        "optimizer": {"name": "adam"},
        "learning_rate": 0.01,
    },
    "chain": {"length": 20000, "thermalisation": 200},
    "samplers": {"random_walk": {"chains": 128, "updates": 10000, "thinning": 20, "thermalisation": 500, "width": 0.2}},
}


@pytest.fixture(scope="module", autouse=True)
def registered():
    registries: list[tuple[Registry, str]] = [(ACTIONS, "sextic"), (INNER_MAPS, "stretch")]
    registries += [(SAMPLERS, "random_walk"), (FLOWS, "pointwise")]
    for (registry, name), part in zip(registries, (Sextic, Stretch, RandomWalk, pointwise), strict=True):
        registry[name] = part
    observable(kurtosis)
    yield
    for registry, name in [*registries, (OBSERVABLES, "kurtosis")]:
        del registry[name]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What the commands leave of a flow with a toy in it, of the toy flow, and of the toy sampler."""
    folder = tmp_path_factory.mktemp("extension")
    flows = {"flow": CONFIGURATION, "pointwise": CONFIGURATION | {"flow": {"name": "pointwise", "pairs": 2}}}
    for name, configuration in flows.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(configuration))
        assert main(["train", f"--config={folder / name}.yaml", f"--out={folder / 'runs' / name}"]) == 0
        assert main(["sample", f"--run={folder / 'runs' / name}", f"--out={folder / name}"]) == 0
    assert main(["baseline", "--sampler=random_walk", f"--config={folder / 'flow.yaml'}", f"--out={folder / 'random_walk'}"]) == 0
    return {name: json.loads((folder / name / "result.json").read_text()) for name in (*flows, "random_walk")}


@pytest.mark.parametrize("shape", [(4,), (2, 2, 2)])
def test_the_toy_sampler_runs_in_other_dimensions(shape):
    chunks = list(run_chain(RandomWalk(Sextic(Lattice(shape)), chains=8), updates=4, thermalisation=2, seed=1))
    assert np.concatenate([chunk.phi for chunk in chunks]).shape == (4, 8, *shape)
    assert any(chunk.info.accepted.any() for chunk in chunks)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_short(part):
    assert len(inspect.getsource(part).splitlines()) <= LONGEST


def test_every_part_reaches_the_result(results):
    for result in results.values():
        assert result["action"] == {"name": "sextic", "a": 2.2, "b": 0.1} and result["a"] == 2.2
        assert result["observables"]["kurtosis"]["error"] > 0
        exact = result["observables"]["schwinger_dyson"]
        assert exact["reference"] == 1.0 and abs(exact["pull"]) < SIGMAS and exact["error"] < 0.02
    assert results["random_walk"]["chain"]["thinning"] == 20 and 0.3 < results["random_walk"]["chain"]["acceptance"] < 1
    assert results["flow"]["chain"]["ess"] > 0.2 and results["pointwise"]["chain"]["ess"] > 0.2


@pytest.mark.parametrize("kind", ["flow", "pointwise"])
@pytest.mark.parametrize("name", ["phi_squared", "phi_fourth", "ising_energy", "action_density", "kurtosis"])
def test_a_flow_and_the_toy_sampler_agree(results, kind, name):
    flow, random_walk = (results[which]["observables"][name] for which in (kind, "random_walk"))
    assert abs(flow["value"] - random_walk["value"]) < SIGMAS * np.hypot(flow["error"], random_walk["error"])
    assert flow["error"] < 0.05 * abs(flow["value"])


@pytest.mark.parametrize("part", PARTS)
def test_the_contributing_guide_quotes_the_toys(part):
    guide = (CONFIGS.parent / "CONTRIBUTING.md").read_text()
    assert "".join(f"+{line}".rstrip() + "\n" for line in inspect.getsource(part).splitlines()) in guide
