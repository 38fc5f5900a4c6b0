"""Annealed proposals of flows whose faults are known, against the exact free field."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from exact import free_field, free_fields, two_sites_in_every_direction

import lattice_flows as lf
from lattice_flows.actions import ScalarPhi4
from lattice_flows.flows import Flow
from lattice_flows.importance import WeightedSampler, effective_sample_size, log_z
from lattice_flows.lattice import Lattice
from lattice_flows.priors import normal
from lattice_flows.samplers import Annealed, IndependenceMetropolis, run_chain

LATTICE, M2, WIDTH = Lattice((4, 4)), 3.0, 0.3
FREE, EXACT = ScalarPhi4(LATTICE, m2=M2, lam=0.0), free_field(LATTICE, M2)
BATCH, DRAWN = 4096, 16384


def proposals(action=FREE, width=WIDTH):
    """Of a flow that knows nothing of neighbours: all modes have the same width."""
    lattice = action.lattice
    return WeightedSampler(Flow(lattice, normal(lattice, width=width), tfp.bijectors.Identity()), action, BATCH, seed=1)


def of_equilibria(n):
    """Var(log W) if every trajectory forgot its start: w is `sum_p c_p z_p^2`, and z_p has the variance `1 / (1 - 2 share c_p)`."""
    c, shares = 0.5 - (LATTICE.momentum_squared() + M2) * WIDTH**2, np.arange(n) / n
    return np.sum(2 * c**2 / (1 - 2 * np.multiply.outer(shares, c)) ** 2) / n**2


@pytest.fixture(scope="module")
def drawn():
    """Number of temperatures -> fields, log weights and the sampler that draws them."""
    found = {}
    for n in (4, 16):
        sampler = Annealed(proposals(), temperatures=n, panels=4)
        batches = sampler.proposals.batches(DRAWN, "chain")
        found[n] = [*(np.concatenate(each) for each in zip(*batches, strict=True)), sampler]
    return found


def test_one_temperature_is_plain_importance_sampling():
    sampler = Annealed(proposals(), temperatures=1)
    ((phi, log_weight),) = sampler.proposals.batches(BATCH, "chain")
    np.testing.assert_allclose(log_weight, -FREE(phi) - normal(LATTICE, width=WIDTH).log_prob(phi), atol=1e-10)
    assert abs(np.std(phi) / WIDTH - 1) < 4 / np.sqrt(2 * phi.size)
    assert np.var(log_weight) == pytest.approx(of_equilibria(1), rel=0.2) and of_equilibria(1) > 1.5


@pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_signs_of_a_symmetrized_flow_are_drawn(n):
    of = {"name": "affine", "layers": 2, "prior": {"name": "normal", "width": 0.3, "mean_field": 1.4}}
    flow = lf.flows.symmetrized(LATTICE, 1, of=lf.flows.FLOWS.completed(of))
    drawn = Annealed(WeightedSampler(flow, ScalarPhi4(LATTICE, m2=-4.0, lam=1.0), 200, seed=1), temperatures=n, panels=1)
    ((phi, _),) = drawn.proposals.batches(200, "chain")
    assert abs(np.mean(phi.sum(axis=(1, 2)) > 0) - 0.5) < 4 * 0.5 / np.sqrt(200)


@pytest.mark.parametrize("n", [4, 16])
def test_log_z_is_that_of_the_free_field(drawn, n):
    found, error = log_z(drawn[n][1])
    assert abs(found - EXACT["log_z"]) < 3 * error < 0.05


def test_the_variance_falls_with_the_number_of_temperatures(drawn):
    for n in (4, 16):
        assert 0.9 < np.var(drawn[n][1]) / of_equilibria(n) < 1.3
    assert of_equilibria(16) < of_equilibria(4) / 3


@pytest.mark.parametrize("panels", [0, 1])
def test_trajectories_that_follow_badly_cost_variance_and_nothing_else(panels):
    """Few are accepted, far from equilibrium; log Z stays exact, and so do reweighted fields."""
    ((phi, log_weight),) = Annealed(proposals(), temperatures=4, panels=panels).proposals.batches(BATCH, "chain")
    assert np.var(log_weight) > 1.1 * of_equilibria(4)
    found, error = log_z(log_weight)
    assert abs(found - EXACT["log_z"]) < 3 * error < 0.15
    weight = np.exp(log_weight - log_weight.max())
    deviation = weight / weight.sum() * (np.mean(phi**2, axis=(1, 2)) - EXACT["phi_squared"])
    assert abs(deviation.sum()) < 3 * np.linalg.norm(deviation) < 0.1 * EXACT["phi_squared"]
    fields = np.mean(phi**2, axis=(1, 2))
    assert abs(fields.mean() - EXACT["phi_squared"]) > 3 * np.std(fields) / np.sqrt(BATCH)


def test_paths_can_be_gone_backwards(drawn):
    """From free fields down to noise, by the same updates in the opposite order: W then has the weighted distribution of before,
    P_back(W) = W P(W) / Z (G. E. Crooks, Phys. Rev. E 60 (1999) 2721), and the noise is unit normal where weighted by 1 / W."""
    n, moves = 4, Annealed(proposals(), temperatures=4, panels=4)._moves
    state = moves.start(tf.constant(free_fields(LATTICE, M2, BATCH, seed=7) / WIDTH))
    work, update = state.log_weight / n, tf.function(moves.update, jit_compile=True)
    for k in range(n - 1, 0, -1):
        state, _ = update(state, tf.constant([8, k]), tf.constant(k / n, tf.float64))
        work += state.log_weight / n
    there, back = drawn[n][1], work.numpy()
    weight = np.exp(there - there.max())
    weight /= weight.sum()
    for moment in (1, 2):
        expected = np.sum(weight * there**moment)
        error = np.hypot(np.linalg.norm(weight * (there**moment - expected)), np.std(back**moment) / np.sqrt(BATCH))
        assert abs(np.mean(back**moment) - expected) < 4 * error < 0.05 * abs(expected)
    found, error = log_z(-back)
    assert abs(found + EXACT["log_z"]) < 4 * error < 0.1
    weight = np.exp(back.min() - back)
    deviation = weight / weight.sum() * (np.mean(state.z**2, axis=(1, 2)) - 1)
    assert abs(deviation.sum()) < 4 * np.linalg.norm(deviation) < 0.1


def test_the_chain_has_the_exact_distribution(drawn):
    fields, _, sampler = drawn[16]
    chunks = list(run_chain(sampler, updates=DRAWN, seed=3))
    np.testing.assert_array_equal(np.concatenate([chunk.rows for chunk in chunks]), fields)
    values = np.concatenate([chunk.phi for chunk in chunks])[:, 0].sum(axis=(1, 2)) ** 2 / LATTICE.volume
    accepted = np.mean(np.concatenate([chunk.info.accepted for chunk in chunks]))
    bins = values.reshape(128, -1).mean(axis=1)
    error = np.std(bins) / np.sqrt(128)
    assert abs(bins.mean() - EXACT["two_point_susceptibility"]) < 4 * error < 0.1 * EXACT["two_point_susceptibility"]
    (plain,) = run_chain(IndependenceMetropolis(proposals()), updates=BATCH, seed=3)
    assert accepted > 0.8 > plain.info.accepted.mean() + 0.2
    diagnostics = sampler.diagnostics(chunks[-1].state.sampler)
    assert 0.9 < diagnostics["trajectory_acceptance"] < 1 and diagnostics["integration_error"] == {"mean": 0.0, "largest": 0.0}


def test_integration_steps_are_those_of_the_flow_that_draws(drawn):
    """A production run refines a copy of the flow: the flow itself may still have fewer steps."""
    flow = lf.flows.continuous(Lattice((2, 2)), features=2, knots=2)
    action = ScalarPhi4(flow.lattice, m2=M2, lam=0.0)
    sampler = Annealed(WeightedSampler(flow, action, 8, seed=1).refined(), temperatures=1, panels=0)
    steps = {name: 2 * number for name, number in flow.integration_steps.items()}
    assert steps and sampler.diagnostics(None)["integration_steps"] == steps
    assert "integration_steps" not in drawn[4][2].diagnostics(None)  # of an exact flow


def test_fields_without_a_weight_have_none():
    class Forbidden(ScalarPhi4):
        name = "forbidden"

        def __call__(self, phi):
            return tf.where(phi[:, 0, 0] > 0, super().__call__(phi), np.inf)

    action = Forbidden(LATTICE, m2=M2, lam=0.0)
    ((phi, log_weight),) = Annealed(proposals(action), temperatures=4, panels=0).proposals.batches(BATCH, "chain")
    finite = np.isfinite(log_weight)
    assert np.all(phi[finite, 0, 0] > 0) and np.all(log_weight[~finite] == -np.inf)
    found, error = log_z(log_weight)
    assert abs(found - (EXACT["log_z"] - np.log(2))) < 3 * error < 0.2


def test_an_interacting_field_agrees_with_quadrature():
    action, exact = ScalarPhi4(Lattice((2, 2)), m2=-4.0, lam=7.0), two_sites_in_every_direction(2, -4.0, 7.0)
    plain, annealed = (Annealed(proposals(action, 0.5), temperatures=n, panels=3).proposals for n in (1, 8))
    ((phi, log_weight),) = annealed.batches(BATCH, "chain")
    assert effective_sample_size(log_weight) > 2 * effective_sample_size(plain.log_weights(BATCH, "chain"))
    found, error = log_z(log_weight)
    assert abs(found - exact["log_z"]) < 3 * error < 0.1
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    series = {"phi_squared": np.mean(phi**2, axis=(1, 2)), "two_point_susceptibility": phi.sum(axis=(1, 2)) ** 2 / 4}
    for name, values in series.items():
        deviation = weight * (values - exact[name])
        assert abs(deviation.sum()) < 3 * np.linalg.norm(deviation) < 0.1 * exact[name], name


@pytest.mark.slow
def test_a_trained_flow_agrees_with_hmc():
    """On E1, at another coupling than that of the training, so that w is not nearly constant."""
    flow, action = lf.load("E1", "continuous")
    action = action.at(lam=6.0)
    plain = lf.measure(lf.sample(flow, action, 8000, progress=False), action)
    ours = lf.measure(lf.sample(flow, action, 8000, sampler="annealed", temperatures=4, progress=False), action)
    hmc = lf.measure(lf.baseline(action, chains=64, updates=2000, thinning=2, thermalisation=300, progress=False), action)
    assert ours.trusted and hmc.trusted and ours.chain["acceptance"] > plain.chain["acceptance"] + 0.05
    assert 0 < ours.chain["integration_error"]["mean"] < 1e-2  # where the proposals end
    assert ours.weight_variance.variance.value < plain.weight_variance.variance.value / 2
    for name in ("two_point_susceptibility", "phi_squared", "ising_energy"):
        one, other = ours.estimate(name), hmc.estimate(name)
        assert abs(one.value - other.value) < 4 * np.hypot(one.error, other.error) < 0.1 * abs(other.value), (name, one, other)
