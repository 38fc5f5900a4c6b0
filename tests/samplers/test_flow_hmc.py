"""Samplers of a flow's latent variable, with flows whose faults are known."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

import lattice_flows as lf
from lattice_flows import flows
from lattice_flows.actions import ScalarPhi4
from lattice_flows.errors import UserError
from lattice_flows.flows import Flow
from lattice_flows.importance import WeightedSampler
from lattice_flows.lattice import Lattice
from lattice_flows.priors import free_field, normal
from lattice_flows.samplers import PCN, Drawing, FlowHMC, Stretch, run_chain
from lattice_flows.samplers.hamiltonian import Info

LATTICE, SEED = Lattice((2, 2)), tf.constant([1, 2])
FREE, WIDTH = ScalarPhi4(LATTICE, m2=3.0, lam=0.0), 0.35
CHAINS = 20000


def proposals(action=FREE, flow=None):
    """Of a flow that knows nothing of neighbours: narrower than the zero mode of the free field, wider than all others."""
    return WeightedSampler(flow or Flow(LATTICE, normal(LATTICE, width=WIDTH), tfp.bijectors.Identity()), action, 64, seed=1)


def exactly_distributed(sampler):
    """The sampler's state with free fields."""
    phi = free_field(LATTICE, m2=3.0).sample(sampler.chains, seed=[3, 4])
    same, log_weight = sampler._fields(phi / WIDTH)
    return sampler.init(1)._replace(phi=same, z=phi / WIDTH, log_weight=log_weight)


@pytest.fixture(scope="module", params=[(FlowHMC, np.pi / 2), (PCN, 0.8)], ids=["flow_hmc", "pcn"])
def update(request):
    """An update of many chains that have the exact distribution before it."""
    kind, angle = request.param
    sampler = kind(proposals(), chains=CHAINS, **({"panels": 2} if kind is FlowHMC else {}))
    before = exactly_distributed(sampler)._replace(angle=tf.constant(angle, tf.float64))
    return sampler, before, *sampler.step(before, SEED)


def test_without_panels_proposals_are_those_of_the_flow():
    sampler = FlowHMC(proposals(), chains=500, panels=0)
    before = sampler.init(3)
    after, info = sampler.step(before, SEED)
    drawn = tf.random.stateless_normal(before.z.shape, tf.random.fold_in(SEED, 0), dtype=tf.float64)
    np.testing.assert_allclose(after.phi, np.where(info.accepted[:, None, None], WIDTH * drawn, before.phi), atol=1e-14)
    phi = WIDTH * drawn
    log_weight = -FREE(phi) - normal(LATTICE, width=WIDTH).log_prob(phi)
    np.testing.assert_allclose(info.dh, before.log_weight - log_weight, atol=1e-12)
    assert 0.1 < np.mean(info.accepted) < 0.9


def zero_mode(phi):
    """Of each chain, in units of its width."""
    return phi.numpy().sum(axis=(1, 2)) / 2 / np.sqrt(1 / 6)


def test_ranks_stay_uniform(update):
    """Of the zero mode, and of the field at a site, by their exact distributions: chains are independent, so chi^2 holds."""
    _, before, after, info = update
    width = np.sqrt(np.mean(1 / (2 * (LATTICE.momentum_squared() + 3.0))))
    for state in (before, after):
        for values in (zero_mode(state.phi), state.phi[:, 0, 0] / width):
            ranks = np.bincount((20 * stats.norm.cdf(values)).astype(int), minlength=20)
            assert stats.chisquare(ranks).pvalue > 1e-3
    assert 0.3 < np.mean(info.accepted) < 0.95


def test_detailed_balance(update):
    """As many chains go from one rank to another as back, and few stay (A. H. Bowker, J. Am. Stat. Assoc. 43 (1948) 572)."""
    _, before, after, _ = update
    counts = np.zeros((6, 6))
    np.add.at(counts, tuple((6 * stats.norm.cdf(zero_mode(state.phi))).astype(int) for state in (before, after)), 1)
    pairs = np.triu_indices(6, 1)
    there, back = counts[pairs], counts.T[pairs]
    enough = there + back > 20
    there, back = there[enough], back[enough]
    assert len(there) > 12
    assert stats.chi2.sf(np.sum((there - back) ** 2 / (there + back)), len(there)) > 1e-3


def test_exp_minus_dh_averages_to_one(update):
    sampler, _, _, info = update
    series = sampler.series(type(info)(*(values.numpy() for values in info)))["exp_minus_dh"]
    error = np.std(series) / np.sqrt(CHAINS)
    assert sampler.exact == {"exp_minus_dh": 1.0} and abs(np.mean(series) - 1) < 4 * error < 0.05


def test_any_function_may_kick():
    """Trajectories turn back and keep volumes even if they do not follow w."""
    sampler = FlowHMC(proposals(), chains=9, panels=3)
    sampler._coarse = lambda z: (z, tf.reduce_sum(tf.sin(3 * z) + 0.3 * z**3 * tf.roll(z, 1, 1), (1, 2)))
    angle = tf.constant(np.pi / 2, tf.float64)
    z, momenta = np.random.default_rng(1).normal(size=(2, 1, 2, 2))
    # The first chain is not disturbed, each of the others in one number.
    start = np.concatenate([z.ravel(), momenta.ravel()]) + 1e-6 * np.concatenate([np.zeros((1, 8)), np.eye(8)])
    there = sampler._trajectory(*tf.unstack(tf.constant(start.reshape(9, 2, 2, 2)), axis=1), angle)
    back, _ = sampler._trajectory(there[0], -there[1], angle)
    np.testing.assert_allclose(back[0], z[0], atol=1e-12)
    end = np.stack([each.numpy().reshape(9, 4) for each in there], axis=1).reshape(9, 8)
    assert abs(abs(np.linalg.det((end[1:] - end[0]) / 1e-6)) - 1) < 1e-4
    assert np.max(np.abs(there[0][0] - momenta[0])) > 0.1


def test_more_panels_are_accepted_more_often():
    """Whatever is wrong with the flow: here the widths of all modes."""
    found = []
    for panels in (0, 2, 4, 8):
        sampler = FlowHMC(proposals(), chains=CHAINS, panels=panels)
        found.append(np.mean(sampler.step(exactly_distributed(sampler), SEED)[1].accepted))
    assert found[0] < found[1] - 0.1 and found[1] < found[2] - 0.02 < found[2] < found[3] and found[3] > 0.97, found


def test_the_angle_of_pcn_follows_the_acceptance_up_to_independence():
    sampler = PCN(proposals(), chains=1000, target_acceptance=0.8)
    chunks = list(run_chain(sampler, updates=20, thermalisation=200, seed=1))
    assert 0.1 < sampler.diagnostics(chunks[-1].state.sampler)["angle"] < 1.2
    assert abs(np.mean(chunks[-1].info.accepted) - 0.8) < 0.02
    state = sampler.init(1)
    less = sampler.adapt(state, Info(None, tf.fill([1000], tf.constant(5.0, tf.float64))))
    more = sampler.adapt(state, Info(None, tf.zeros([1000], tf.float64)))
    assert less.angle < more.angle == state.angle == np.pi / 2


def test_the_signs_of_a_symmetrized_flow_are_drawn():
    broken = ScalarPhi4(LATTICE, m2=-4.0, lam=1.0)
    of = {"name": "affine", "layers": 2, "prior": {"name": "normal", "width": 0.3, "mean_field": 1.4}}
    flow = flows.symmetrized(LATTICE, 1, of=flows.FLOWS.completed(of))
    sampler = FlowHMC(proposals(broken, flow), chains=200, panels=1)
    state = sampler.init(1)
    assert np.all(state.phi.numpy().sum(axis=(1, 2)) > 0)
    after, _ = sampler.step(state, SEED)
    positive = np.mean(after.phi.numpy().sum(axis=(1, 2)) > 0)
    assert abs(positive - 0.5) < 4 * 0.5 / np.sqrt(200)
    np.testing.assert_allclose(sampler._fields(after.z)[1], after.log_weight, atol=1e-4)  # networks are float32

    class WithSource(ScalarPhi4):
        name = "with_source"

        def __call__(self, phi):
            return super().__call__(phi) + tf.reduce_sum(phi, self.lattice.axes)

    with pytest.raises(ValueError, match="flow_hmc cannot draw signs for a map that is not odd or an action that is not even"):
        FlowHMC(proposals(WithSource(LATTICE, m2=1.0, lam=1.0), flow))


def test_fields_without_a_weight_are_left():
    sampler = FlowHMC(proposals(), chains=3, panels=0)
    state = sampler.init(1)
    stuck = state._replace(log_weight=tf.constant([-np.inf, 0.0, 1e9], tf.float64))
    _, info = sampler.step(stuck, SEED)
    assert info.accepted[0] and not info.accepted[2]


def test_ends_without_a_weight_are_counted_and_those_that_are_no_numbers_are_not():
    series = FlowHMC(proposals(), chains=3).series(Info(np.zeros((1, 3), bool), np.array([[0.0, np.inf, np.nan]])))
    np.testing.assert_array_equal(series["non_finite_ends"], [[0, 1, 0]])


def test_infinite_weights_are_no_weights():
    """A chain would accept such a field, and then stay there for ever."""

    class Bottomless(ScalarPhi4):
        name = "bottomless"

        def __call__(self, phi):
            return tf.where(tf.range(len(phi)) == 0, tf.constant(-np.inf, tf.float64), super().__call__(phi))

    weights = FlowHMC(proposals(Bottomless(LATTICE, m2=1.0, lam=1.0)), chains=3, panels=0).init(1).log_weight
    assert weights[0] == -np.inf and np.all(np.isfinite(weights[1:]))


def test_kicks_take_half_of_the_steps_that_the_weights_need():
    flow = flows.continuous(LATTICE, features=2, knots=2)
    rng = np.random.default_rng(1)
    for variable in flow.trainable_variables:
        variable.assign_add(rng.normal(scale=0.1, size=variable.shape).astype(np.float32))
    for steps, kick_steps in ((24, 12), (2, 2), (5, 4)):
        flow.set_integration_steps({"equivariant_ode": steps})
        ends = [FlowHMC(proposals(flow=flow), chains=2, panels=1, **given) for given in ({}, {"kick_steps": kick_steps})]
        assert {sampler.advice for sampler in ends} == {f"use more than 1 panels, or more than {kick_steps} kick_steps"}
    state = ends[0].init(1)
    one, other = (sampler.step(state, SEED)[1].dh for sampler in ends)
    np.testing.assert_array_equal(one, other)
    # Of a state that was read from a file, whose chains have ended.
    stored = state._replace(z=state.z.numpy(), log_weight=state.log_weight.numpy())
    diagnostics = ends[0].diagnostics(state)
    assert ends[0].diagnostics(stored) == diagnostics and diagnostics["kick_steps"] == 4
    assert diagnostics["integration_steps"] == {"equivariant_ode": 5}


@pytest.mark.parametrize(("kind", "advice"), [(FlowHMC, "use more than 3 panels"), (PCN, "train the flow longer")])
def test_trajectories_that_all_diverge_are_an_error(kind, advice):
    """A chain that never moves has errors of zero."""

    class Unbounded(ScalarPhi4):
        name = "unbounded"

        def __call__(self, phi):
            return super().__call__(phi) * np.nan

    drawing = Drawing(kind(proposals(Unbounded(LATTICE, m2=1.0, lam=1.0)), chains=3), [Stretch(20)], thermalisation=10, seed=1)
    drawing.begin()
    with pytest.raises(UserError, match=f"cannot move: of the first .* with a dH that is not a number; {advice}"):
        list(drawing.chunks())
    assert drawing.made < 20


def test_a_chain_that_may_still_move_is_no_error():
    sampler, large, none = FlowHMC(proposals(), chains=2), np.full((20, 2), 50.0), np.zeros((20, 2), bool)
    with pytest.raises(UserError, match=r"of the first 40 .* none was accepted, with a dH of 50 or more; use more than 3 panels$"):
        sampler.check(Info(none, large))
    for accepted, dh in (
        (none | (np.arange(2) == 1), large),
        (none, np.where(np.arange(2) == 1, 2.0, np.nan)),
        (none[:9], large[:9]),
    ):
        sampler.check(Info(accepted, dh))


@pytest.mark.slow
@pytest.mark.parametrize("sampler", [{"sampler": "flow_hmc", "panels": 2}, {"sampler": "pcn"}], ids=lambda each: each["sampler"])
def test_a_trained_flow_agrees_with_hmc(sampler):
    """On E1, at another coupling than that of the training, so that w is not nearly constant."""
    flow, action = lf.load("E1", "continuous")
    action = action.at(lam=6.0)
    ours = lf.measure(lf.sample(flow, action, 160_000, chains=64, progress=False, **sampler), action)
    hmc = lf.measure(lf.baseline(action, chains=64, updates=2000, thinning=2, thermalisation=300, progress=False), action)
    assert ours.trusted and hmc.trusted and ours.chain["acceptance"] > 0.3
    assert 0 < ours.chain["integration_error"]["mean"] < 1e-2  # where the chains are
    for name in ("two_point_susceptibility", "phi_squared", "ising_energy", "pole_mass"):
        one, other = ours.estimate(name), hmc.estimate(name)
        assert abs(one.value - other.value) < 4 * np.hypot(one.error, other.error) < 0.1 * abs(other.value), (name, one, other)
