"""A new part is one class, one line and one configuration: toys from outside of the package go through everything."""

import inspect
import json
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import yaml

from lattice_flows.actions import ACTIONS, Action
from lattice_flows.bijectors import INNER_MAPS
from lattice_flows.command_line import main
from lattice_flows.config import CONFIGS, Registry
from lattice_flows.measurement.observables import OBSERVABLES, Measurements, observable
from lattice_flows.samplers import SAMPLERS, Sampler

LONGEST = 30  # lines of a part
SIGMAS = 4.0


class Sextic(Action):
    """S = sum_x [ a phi_x^2 + b phi_x^6 ] - sum_{x,mu} phi_x phi_{x+mu}."""

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
    """Metropolis updates of the whole lattice: normal proposals around the present configuration."""

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
        return self.State(tf.where(accepted[:, None, None], proposal, state.phi)), self.Info(accepted)


def kurtosis(m: Measurements):
    """`<phi^4> / <phi^2>^2`, which is 3 for a Gaussian field."""
    return m.mean("phi_4") / m.mean("phi_2") ** 2


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
    registries: list[tuple[Registry, str]] = [(ACTIONS, "sextic"), (INNER_MAPS, "stretch"), (SAMPLERS, "random_walk")]
    for (registry, name), part in zip(registries, (Sextic, Stretch, RandomWalk), strict=True):
        registry[name] = part
    observable(kurtosis)
    yield
    for registry, name in [*registries, (OBSERVABLES, "kurtosis")]:
        del registry[name]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What the commands leave of a flow and of the toy sampler."""
    folder = tmp_path_factory.mktemp("extension")
    (folder / "toy.yaml").write_text(yaml.safe_dump(CONFIGURATION))
    for command in (
        ["train", f"--config={folder / 'toy.yaml'}", f"--out={folder / 'run'}"],
        ["sample", f"--run={folder / 'run'}", f"--out={folder / 'flow'}"],
        ["baseline", "--sampler=random_walk", f"--config={folder / 'toy.yaml'}", f"--out={folder / 'random_walk'}"],
    ):
        assert main(command) == 0
    return {name: json.loads((folder / name / "result.json").read_text()) for name in ("flow", "random_walk")}


@pytest.mark.parametrize("part", [Sextic, Stretch, RandomWalk, kurtosis])
def test_a_part_is_short(part):
    assert len(inspect.getsource(part).splitlines()) <= LONGEST


def test_every_part_reaches_the_result(results):
    for result in results.values():
        assert result["action"] == {"name": "sextic", "a": 2.2, "b": 0.1} and result["a"] == 2.2
        assert result["observables"]["kurtosis"]["error"] > 0
        exact = result["observables"]["schwinger_dyson"]
        assert exact["reference"] == 1.0 and abs(exact["pull"]) < SIGMAS and exact["error"] < 0.02
    assert results["random_walk"]["chain"]["thinning"] == 20 and 0.3 < results["random_walk"]["chain"]["acceptance"] < 1
    assert results["flow"]["chain"]["ess"] > 0.2


@pytest.mark.parametrize("name", ["phi_squared", "phi_fourth", "ising_energy", "action_density", "kurtosis"])
def test_the_flow_and_the_toy_sampler_agree(results, name):
    flow, random_walk = (results[kind]["observables"][name] for kind in ("flow", "random_walk"))
    assert abs(flow["value"] - random_walk["value"]) < SIGMAS * np.hypot(flow["error"], random_walk["error"])
    assert flow["error"] < 0.05 * abs(flow["value"])


@pytest.mark.parametrize("part", [Sextic, Stretch, RandomWalk, kurtosis])
def test_the_contributing_guide_quotes_the_toys(part):
    guide = (CONFIGS.parent / "CONTRIBUTING.md").read_text()
    assert "".join(f"+{line}".rstrip() + "\n" for line in inspect.getsource(part).splitlines()) in guide
