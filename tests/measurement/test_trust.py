"""The checks of a chain on synthetic ones: exact fields of the free theory, and what can go wrong, one thing at a time."""

import numpy as np
import pytest
import tensorflow as tf
from exact import free_fields

from lattice_flows.actions import ScalarPhi4
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.autocorrelation import repeats
from lattice_flows.measurement.measurements import Measurements
from lattice_flows.measurement.trust import checks_of_chain

LATTICE = Lattice((4, 4))
ACTION = ScalarPhi4(LATTICE, m2=0.7, lam=0.0)
N = 2000
PHI = free_fields(LATTICE, 0.7, N)
RNG = np.random.default_rng(3)
# A flow of good quality: Gaussian log weights of width 0.5, ESS exp(-1/4).
WEIGHTS = 0.5 * RNG.normal(size=N) + 100
CHAIN = {"ess": 0.78, "tau_int": 0.5, "non_finite_weights": 0, "integration_error": {"mean": 0.0, "largest": 0.0}}
TRAINING = {"ess": 0.78, "forward_ess": 0.77}


def verdicts(phi=PHI, action=ACTION, chain=None, accepted=None, log_weight=WEIGHTS, training=TRAINING, exact=None, bin_size=None):
    """Name -> verdict of a chain `[n, *shape]` or chains `[n, chains, *shape]`."""
    measurements = Measurements.of(action, phi if phi.ndim == 4 else phi[:, np.newaxis], bin_size=bin_size)
    accepted = np.ones(len(phi), bool) if accepted is None else accepted
    settings = {"accepted": accepted, "log_weight": log_weight, "training": training, "exact": exact}
    return {check.name: check.verdict for check in checks_of_chain(measurements, CHAIN | (chain or {}), **settings)}


def test_a_good_chain_is_good_in_every_check():
    found = verdicts()
    assert set(found.values()) == {"good"} and len(found) == 20


def test_weights_that_are_all_equal_are_good():
    assert set(verdicts(log_weight=np.full(N, 3.0)).values()) == {"good"}


HALF = np.arange(N)[:, np.newaxis, np.newaxis] < N // 2
POSITIVE = PHI * np.sign(PHI.mean(axis=(1, 2), keepdims=True))
STUCK = np.where(np.arange(N) < 400, 0, np.arange(N))
PARETO = -0.95 * np.log(RNG.uniform(size=N))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("schwinger_dyson", {"phi": 1.1 * PHI}),
        ("schwinger_dyson_cubic", {"phi": 1.1 * PHI}),
        ("schwinger_dyson_neighbour", {"phi": free_fields(LATTICE, 0.4, N)}),
        ("schwinger_dyson_magnetization", {"phi": free_fields(LATTICE, 0.4, N)}),
        ("schwinger_dyson_magnetization_cubed", {"phi": free_fields(LATTICE, 0.2, N)}),
        ("non_finite_observables", {"phi": np.where(np.arange(N)[:, np.newaxis, np.newaxis] == 7, np.nan, PHI)}),
        ("halves", {"phi": np.where(HALF, 0.8, 1.2) * PHI}),
        ("thermalisation", {"chain": {"thermalisation_pull": -4.5}}),
        ("tau_int_ratio", {"chain": {"tau_int": 9.0}}),
        ("exchange_acceptance", {"chain": {"smallest_exchange_acceptance": 0.001}}),
        ("independent_configurations", {"chain": {"tau_int": 50.0}}),
        ("sign_flips", {"phi": POSITIVE}),
        ("positive_magnetization", {"phi": np.where(np.arange(N)[:, np.newaxis, np.newaxis] % 4, PHI, POSITIVE)}),
        ("longest_run", {"phi": PHI[STUCK], "accepted": STUCK == np.arange(N)}),
        ("longest_run_squared", {"phi": PHI[STUCK], "accepted": STUCK == np.arange(N)}),
        ("log_z_halves", {"log_weight": WEIGHTS + 0.2 * HALF[:, 0, 0]}),
        ("log_z_halves", {"log_weight": np.where(HALF[:, 0, 0], WEIGHTS, -np.inf)}),
        ("k_hat", {"log_weight": PARETO}),
        ("effective_proposals", {"chain": {"ess": 0.09}}),
        ("ess_of_training", {"chain": {"ess": 0.3}}),
        ("forward_ess", {"training": {"ess": 0.9, "forward_ess": 1e-5}}),
        ("non_finite_weights", {"chain": {"non_finite_weights": 20}}),
        ("non_finite_weights", {"chain": {"non_finite_ends": 0.01}, "log_weight": None}),
        ("integration_error", {"chain": {"integration_error": {"mean": 0.02, "largest": 1.0}}}),
        ("exp_minus_dh", {"chain": {"exp_minus_dh": 1.05, "exp_minus_dh_error": 0.01}, "exact": {"exp_minus_dh": 1.0}}),
    ],
)
def test_what_goes_wrong_is_called_bad(name, changes):
    assert verdicts(**changes)[name] == "bad"


def test_what_is_not_known_is_said():
    found = verdicts(training=None, exact={"exp_minus_dh": 1.0})
    assert found["ess_of_training"] == found["exp_minus_dh"] == "unknown" and "forward_ess" not in found
    assert verdicts(phi=PHI[:8])["halves"] == "unknown"
    # Every trajectory was too far out to count.
    none = {"chain": {"exp_minus_dh": 1.0, "exp_minus_dh_error": 0.0}, "exact": {"exp_minus_dh": 1.0}}
    assert verdicts(**none)["exp_minus_dh"] == "unknown"
    assert verdicts(chain={"thermalisation_pull": None})["thermalisation"] == "unknown"


@pytest.mark.parametrize(
    ("of_flow", "log_weight", "signs", "runs"),
    [
        (True, WEIGHTS, "train a flow that covers both", "Train the flow longer"),
        (True, None, "train a flow that covers both", "use smaller steps"),
        (False, None, "let HMC propose global flips", "use smaller steps"),
    ],
    ids=["independence", "flow_hmc", "hmc"],
)
def test_the_advice_is_that_for_the_sampler(of_flow, log_weight, signs, runs):
    measurements = Measurements.of(ACTION, POSITIVE[STUCK][:, np.newaxis])
    # Diagnostics of any name say nothing about the sampler.
    chain, accepted = CHAIN | {"angle": 1.0}, STUCK == np.arange(N)
    checks = checks_of_chain(measurements, chain, of_flow=of_flow, accepted=accepted, log_weight=log_weight)
    advice = {check.name: check.advice for check in checks}
    assert signs in advice["sign_flips"] and runs in advice["longest_run"]


def test_series_of_an_action_are_checked_too():
    class Spoiled(ScalarPhi4):
        def time_series(self, phi, general):
            return super().time_series(phi, general) | {"own": np.where(np.arange(len(phi)) == 3, np.nan, general["phi_2"])}

    assert verdicts(action=Spoiled(LATTICE, m2=0.7, lam=0.0))["non_finite_observables"] == "bad"


def test_only_an_even_action_has_as_many_positive_configurations_as_negative_ones():
    class WithSource(ScalarPhi4):
        name = "with_source"

        def __call__(self, phi):
            return super().__call__(phi) + tf.reduce_sum(tf.cast(phi, tf.float64), self.lattice.axes)

    assert not {"sign_flips", "positive_magnetization"} & verdicts(action=WithSource(LATTICE, m2=0.7, lam=0.0)).keys()


def test_parallel_chains_are_compared_with_each_other():
    phi = PHI.reshape(250, 8, 4, 4)
    accepted = np.ones((250, 8), bool)
    found = verdicts(phi=phi, accepted=accepted, log_weight=None, chain={"tau_int": None})
    assert set(found.values()) == {"good"} and "r_hat" in found and "k_hat" not in found
    # Half of the chains stay in either sign.
    stuck = POSITIVE.reshape(250, 8, 4, 4) * np.resize([1, -1], (8, 1, 1))
    found = verdicts(phi=stuck, accepted=accepted, log_weight=None)
    assert found["sign_flips"] == found["chains_of_one_sign"] == found["r_hat"] == "bad"
    # Three chains in four do, which the number of flips of the other ones hides.
    found = verdicts(phi=np.where(np.arange(8)[:, np.newaxis, np.newaxis] < 2, phi, stuck), accepted=accepted, log_weight=None)
    assert found["sign_flips"] == "good" and found["chains_of_one_sign"] == "bad"
    # One chain never moves.
    still = np.where(np.arange(8)[:, np.newaxis, np.newaxis] == 3, phi[:1], phi)
    accepted[:, 3] = False
    found = verdicts(phi=still, accepted=accepted, log_weight=None)
    assert found["longest_run_squared"] == found["longest_run"] == "bad"
    assert verdicts(phi=phi[:7], log_weight=None)["r_hat"] == "unknown"
    # Short chains are doubtful where long ones are bad: their errors come from the spread between them.
    apart = phi + np.linspace(-0.1, 0.1, 8)[:, np.newaxis, np.newaxis]
    assert verdicts(phi=apart[:50], log_weight=None)["r_hat"] == "doubtful"
    # How long a chain is, its bins do not say.
    assert verdicts(phi=apart, log_weight=None, bin_size=4)["r_hat"] == "bad"
    assert verdicts(phi=apart[:96], log_weight=None, bin_size=4)["r_hat"] == "doubtful"


def test_how_often_each_configuration_stands_in_its_chain():
    accepted = np.array([False, False, True, True, False, True])
    np.testing.assert_array_equal(repeats(accepted), [2, 1, 2, 1])
    np.testing.assert_array_equal(repeats(np.stack([accepted, ~accepted], axis=1)), [2, 1, 2, 1, 1, 3, 2])
    np.testing.assert_array_equal(repeats(np.zeros(5, bool)), [5])
