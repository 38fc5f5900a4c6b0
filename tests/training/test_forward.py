"""Samples of the target show what a flow misses."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from small import ACTION, ADAM, gaussian_flow, settings

from lattice_flows.actions import Action, ScalarPhi4
from lattice_flows.bijectors import FourierScaling
from lattice_flows.config import ConfigError
from lattice_flows.errors import UserError
from lattice_flows.flows import Flow
from lattice_flows.importance import WeightedSampler, effective_sample_size, forward_effective_sample_size
from lattice_flows.io.segments import EnsembleWriter
from lattice_flows.lattice import Lattice
from lattice_flows.priors import normal
from lattice_flows.training import forward
from lattice_flows.training.forward import ForwardSamples
from lattice_flows.training.trainer import Trainer, train

SMALL = Lattice((2, 2))
SCALAR = ScalarPhi4(SMALL, m2=0.5, lam=0.5)


class TwoPeaks(Action):
    """Fields around +3 or -3, with unit width: the broken phase at its simplest, with a log Z that is known."""

    name = "two_peaks"

    def __call__(self, phi):
        phi = tf.cast(phi, tf.float64)
        peaks = [tf.reduce_sum((phi - sign * 3) ** 2, self.lattice.axes) / 2 for sign in (-1, 1)]
        return -tf.reduce_logsumexp(-tf.stack(peaks), axis=0)


def ensemble(path, action, rows, **more):
    """Writes an ensemble of rows: configurations of chains, or proposals where there is an index."""
    with EnsembleWriter(path, {"sampler": "test", "lattice_shape": action.lattice.shape, "action": action.component}) as writer:
        writer.append({"phi": rows.astype(np.float32), **more})
    return path


def test_a_flow_for_one_of_two_peaks_has_a_small_forward_effective_sample_size(tmp_path):
    action, shift = TwoPeaks(SMALL), tfp.bijectors.Shift(np.float64(3))
    flow, rng = Flow(SMALL, normal(SMALL), shift), np.random.default_rng(1)
    fields = rng.normal(size=(10, 64, 2, 2)) + 3 * rng.choice([-1, 1], size=(10, 64, 1, 1))
    ensemble(tmp_path / "ensemble.h5", action, fields)
    assert effective_sample_size(WeightedSampler(flow, action, 512, seed=1).log_weights(512, "test")) > 0.99
    found = ForwardSamples(tmp_path, action).log_weights(flow)  # a run folder
    assert found.shape == (512,)  # whole batches
    assert forward_effective_sample_size(found) < 1e-6
    phi = fields.astype(np.float32).reshape(-1, 2, 2)[:512]
    np.testing.assert_allclose(found, -action(phi) - flow.log_prob(tf.constant(phi, tf.float64)), atol=1e-9)
    one_peak = ensemble(tmp_path / "one_peak.h5", action, 3 + rng.normal(size=fields.shape))
    assert forward_effective_sample_size(ForwardSamples(one_peak, action).log_weights(flow)) > 0.8


def test_configurations_are_spread_over_the_whole_ensemble(tmp_path, monkeypatch):
    monkeypatch.setattr(forward, "_SAMPLES", 6)
    rows = np.arange(20).reshape(10, 2, 1, 1) * np.ones((2, 2))
    chains = ForwardSamples(ensemble(tmp_path / "chains.h5", SCALAR, rows), SCALAR)
    assert np.concatenate(chains._batches)[:, 0, 0].tolist() == [0, 1, 8, 9, 18, 19]
    index = np.array([3, 3, 3, 5, 9, 9])
    path = ensemble(tmp_path / "proposals.h5", SCALAR, rows[:, 0], log_weight=np.zeros(10), index=index)
    proposals = ForwardSamples(path, SCALAR)
    assert np.concatenate(proposals._batches)[:, 0, 0].tolist() == [6, 6, 6, 10, 18, 18]


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (ACTION, r"drawn with the lattice \(2, 2\), not \(4, 4\); give samples of the target"),
        (ScalarPhi4(SMALL, m2=0.5, lam=0.6), r"drawn with the action .*'lam': 0.5.*, not .*'lam': 0.6"),
    ],
)
def test_samples_of_another_target_are_refused(tmp_path, action, message):
    path = ensemble(tmp_path / "other.h5", SCALAR, np.zeros((4, 2, 2, 2)))
    with pytest.raises(ConfigError, match=message):
        ForwardSamples(path, action)


def test_a_missing_ensemble_is_named_before_anything_is_trained(tmp_path):
    with pytest.raises(UserError, match=r"nowhere.h5"):
        Trainer(gaussian_flow(), ACTION, settings(forward_samples=str(tmp_path / "nowhere.h5")))


def test_a_share_of_steps_on_samples_of_the_target_finds_both_peaks(tmp_path):
    """Reverse KL alone leaves a normal density in the peak where it starts."""
    action, rng = TwoPeaks(SMALL), np.random.default_rng(1)
    fields = rng.normal(size=(10, 64, 2, 2)) + 3 * rng.choice([-1, 1], size=(10, 64, 1, 1))
    samples = str(ensemble(tmp_path / "ensemble.h5", action, fields))
    ess = {}
    for share in (0.0, 0.5):
        flow = Flow(SMALL, normal(SMALL, mean_field=3.0), FourierScaling(SMALL))
        how = {"forward_samples": samples, "forward_share": share, "schedule": {"name": "constant"}}
        ess[share] = train(flow, action, settings(**ADAM, **how, steps=100, evaluate_every=100)).forward_ess
    assert ess[0.0] < 1e-3 and ess[0.5] > 0.05
