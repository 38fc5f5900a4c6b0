"""What must hold for HMC whatever it samples, and in the broken phase."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.actions import ScalarPhi4
from lattice_flows.config import SamplerConfig
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.analysis import measure
from lattice_flows.measurement.errors import estimate, primary
from lattice_flows.production import baseline_run
from lattice_flows.samplers import HMC, run_chain
from lattice_flows.samplers.hamiltonian import Info

SHAPES = [(4, 4), (2, 2, 4)]
# From 256,000 configurations of configs/3d_L4_broken.yaml; errors are below 0.1 %.
BROKEN = {"two_point_susceptibility": 14.455, "ising_energy": 0.23215, "absolute_magnetization": 0.47159}


def action(shape):
    return ScalarPhi4(Lattice(shape), m2=-4.0, lam=7.0)


@pytest.fixture(scope="module", params=[SHAPES[0], pytest.param(SHAPES[1], marks=pytest.mark.slow)])
def chain(request):
    """HMC on a small lattice, and the chunks of its chains."""
    hmc = HMC(action(request.param), chains=128, target_acceptance=0.7, leapfrog_steps=6)
    return hmc, list(run_chain(hmc, updates=600, thermalisation=300, seed=1))


def test_exp_minus_dh_averages_to_one_and_the_acceptance_is_as_asked(chain):
    hmc, chunks = chain
    series = np.concatenate([hmc.series(chunk.info)["exp_minus_dh"] for chunk in chunks])
    mean = estimate(primary(series.T, "hmc"))
    assert hmc.exact == {"exp_minus_dh": 1.0} and abs(mean.value - 1) < 4 * mean.error < 0.02
    accepted = np.concatenate([chunk.info.accepted for chunk in chunks])
    # Lengths vary, and with them the acceptance of an update, so the adapted step still fluctuates: within three times 0.018, the
    # standard deviation of the acceptance over 16 seeds.
    assert series.shape == accepted.shape and abs(np.mean(accepted) - 0.7) < 0.054
    diagnostics = hmc.diagnostics(chunks[-1].state.sampler)
    assert diagnostics["trajectory_length"] == 6 * diagnostics["step_size"] > 0


def test_unstable_trajectories_count_as_one():
    series = HMC(action((4, 4))).series(Info(None, np.array([[0.5, -800.0, np.inf, np.nan]])))
    np.testing.assert_array_equal(series["exp_minus_dh"], [[np.exp(-0.5), 1, 1, 1]])


def test_energy_violation_falls_with_the_square_of_the_step(chain):
    hmc, chunks = chain
    state, violations = chunks[-1].state.sampler, []
    for refinement in (6, 12):
        finer = HMC(hmc.action, chains=128, leapfrog_steps=6 * refinement)
        _, info = finer.step(finer.start(state.phi, state.step_size / refinement), tf.constant([3, 4]))
        violations.append(info.dh)
    # The same seed draws the same momenta, so the violations shrink chain by chain.
    ratio = np.linalg.norm(violations[0]) / np.linalg.norm(violations[1])
    assert abs(ratio - 4) < 0.2


def test_every_change_of_the_sign_of_m_is_counted(chain):
    """The first update may have changed the sign of the last configuration of thermalisation, which is not kept."""
    hmc, chunks = chain
    phi = np.concatenate([chunk.phi for chunk in chunks])
    positive = phi.sum(axis=tuple(range(2, phi.ndim)), dtype=np.float64) > 0
    changes = np.count_nonzero(positive[1:] != positive[:-1], axis=0)
    state = chunks[-1].state.sampler
    assert set(np.unique(state.tunnelled - changes)) <= {0, 1} and np.all(changes > 0)
    assert hmc.diagnostics(state)["tunnelled"] == np.sum(state.tunnelled)


@pytest.fixture(scope="module")
def broken():
    """Settings -> result of HMC on 4^3 at lam = 5.113, deep in the broken phase."""

    def run(**settings):
        length = {"updates": 320, "thinning": 2, "thermalisation": 100, "successive": 100}
        settings = SamplerConfig(chains=32, leapfrog_steps=8, **length, **settings)
        return measure(baseline_run("hmc", ScalarPhi4(Lattice((4, 4, 4)), m2=-4.0, lam=5.113), settings, seed=5))

    return {flip: run(flip=flip) for flip in (False, True)}


def test_chains_that_do_not_tunnel_are_bad_and_the_advice_is_the_flip(broken):
    result = broken[False]
    found = {check.name: check for check in result.checks}
    assert result.chain["tunnelled"] < 10 and result.chain["sign_flips"] < 10
    assert found["chains_of_one_sign"].verdict == "bad" and not result.trusted
    assert "hmc: {flip: true}" in found["chains_of_one_sign"].advice and "do not tunnel" in str(result)


def test_flips_make_both_signs_equally_frequent_and_are_no_tunnelling(broken):
    result = broken[True]
    assert result.trusted and {check.verdict for check in result.checks} <= {"good", "doubtful"}, result.conclusion
    # Of 32 chains, every second one of 159 changes is one of sign.
    assert abs(result.chain["sign_flips"] - 32 * 159 / 2) < 4 * np.sqrt(32 * 159 / 4) and result.chain["tunnelled"] < 10
    assert abs(result.estimate("magnetization").value) < 4 * result.estimate("magnetization").error
    for name, value in BROKEN.items():
        estimated = result.estimate(name)
        assert abs(estimated.value - value) < 4 * estimated.error < 0.1 * value


def test_the_gradient_is_flipped_with_the_field():
    hmc = HMC(action((4, 4)), chains=16, leapfrog_steps=4, flip=True)
    before = hmc.init(1)
    after, _ = hmc.step(before, tf.constant([1, 2]))
    plain, _ = HMC(action((4, 4)), chains=16, leapfrog_steps=4).step(before, tf.constant([1, 2]))
    signs = np.unique((after.phi / plain.phi).numpy().reshape(16, -1), axis=1)
    assert signs.shape == (16, 1) and set(signs.flat) == {-1.0, 1.0}
    (gradient,) = after.results.accepted_results.grads_target_log_prob
    np.testing.assert_allclose(gradient, -hmc.action.force(after.phi), rtol=1e-10, atol=1e-10)


def test_only_an_even_action_can_be_flipped():
    class WithSource(ScalarPhi4):
        name = "with_source"

        def __call__(self, phi):
            return super().__call__(phi) + tf.reduce_sum(phi, self.lattice.axes)

    tilted = WithSource(Lattice((4, 4)), m2=1.0, lam=1.0)
    with pytest.raises(ValueError, match=r"flip needs S\(-phi\) = S\(phi\)"):
        HMC(tilted, flip=True)
    hmc = HMC(tilted, chains=4)
    assert "tunnelled" not in hmc.diagnostics(hmc.init(1))
