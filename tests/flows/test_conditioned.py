"""One flow for a range of couplings; what every flow must satisfy is in test_flow_conformance.py."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.actions import ScalarPhi4
from lattice_flows.bijectors import fourier_scaling
from lattice_flows.config import ConfigError
from lattice_flows.flows import FLOWS, affine, conditioned, load_weights, save_weights, transfer_weights
from lattice_flows.io.arrays import CheckpointError
from lattice_flows.lattice import Lattice
from lattice_flows.training.objectives import scores

LATTICE, KNOTS = Lattice((4, 4)), (4.0, 5.0, 7.0)
AFFINE = {"name": "affine", "layers": 2}
PEAK = {"name": "affine", "layers": 2, "prior": {"name": "free_field", "mean_field": 0.5, "bridge": 0.01}}
KINDS = [
    AFFINE,
    {"name": "symmetrized", "of": PEAK},
    {"name": "continuous", "features": 2, "knots": 2, "steps": 4, "smooth_lengths": [1.5]},
]


def made(of=AFFINE, lattice=LATTICE, seed=1):
    flow = conditioned(lattice, knots=KNOTS, of=of)
    for variable in flow.trainable_variables:
        variable.assign_add(np.random.default_rng(seed).normal(scale=0.05, size=variable.shape))
    return flow


@pytest.mark.parametrize("of", KINDS, ids=[kind["name"] for kind in KINDS])
def test_the_flow_at_one_coupling_is_a_plain_flow_with_interpolated_weights(of):
    flow = made(of)
    stacks, plain = flow.named_variables(), flow.at(6.5)
    assert plain.component == FLOWS.build(of, LATTICE, 1).component and plain.condition is None
    assert plain.number_of_parameters() * len(KNOTS) == flow.number_of_parameters()
    for name, variable in plain.named_variables().items():
        np.testing.assert_allclose(variable, 0.25 * stacks[name][1] + 0.75 * stacks[name][2], rtol=1e-6, atol=1e-7)
    flow.set_coupling(6.5)
    for ours, other in zip(flow.sample_and_log_prob(5, [1, 2]), plain.sample_and_log_prob(5, [1, 2]), strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-5, atol=1e-5)
    assert float(tf.convert_to_tensor(flow.coupling)) == pytest.approx(6.5, rel=1e-15)


def test_scores_are_those_of_the_interpolated_weights_times_the_hat_functions():
    flow = made()
    flow.set_coupling(4.25)
    phi = tf.constant(np.random.default_rng(2).normal(size=(3, 4, 4)), tf.float32)
    at_knots, _ = scores(flow, phi)
    plain, _ = scores(flow.at(4.25), phi)
    expected = [
        np.einsum("k,np->nkp", [0.75, 0.25, 0.0], part).reshape(3, -1)
        for part in np.split(plain, np.cumsum([tf.size(v) for v in flow.at(4.25).trainable_variables])[:-1], axis=1)
    ]
    np.testing.assert_allclose(at_knots, np.concatenate(expected, axis=1), rtol=1e-4, atol=1e-4)


def test_a_compiled_function_follows_the_coupling():
    flow = made()
    action = ScalarPhi4(LATTICE, m2=-4.0, lam=5.0)
    varied = action.varied("lam", flow.coupling)
    phi = tf.constant(np.random.default_rng(2).normal(size=(3, 4, 4)))
    weight = tf.function(lambda phi: -varied(phi) - flow.log_prob(phi), jit_compile=True)
    for lam in (4.25, 6.0):
        flow.set_coupling(lam)
        np.testing.assert_allclose(weight(phi), -action.at(lam=lam)(phi) - flow.at(lam).log_prob(phi), rtol=1e-6, atol=1e-5)


def test_weights_are_saved_with_the_coupling(tmp_path):
    flow, other = made(), made(seed=2)
    flow.set_coupling(6.0)
    save_weights(tmp_path / "weights.npz", flow)
    load_weights(tmp_path / "weights.npz", other)
    assert other.fingerprint() == flow.fingerprint()
    flow.set_coupling(5.0)
    assert other.fingerprint() != flow.fingerprint()  # another distribution


def test_weights_are_transferred_knot_by_knot(tmp_path):
    flow, larger = made(), made(lattice=Lattice((6, 6)))
    save_weights(tmp_path / "weights.npz", flow)
    transfer_weights(tmp_path / "weights.npz", larger)
    plain = affine(Lattice((6, 6)), layers=2)
    save_weights(tmp_path / "at.npz", flow.at(5.0))
    transfer_weights(tmp_path / "at.npz", plain)
    for name, variable in larger.at(5.0).named_variables().items():
        np.testing.assert_allclose(variable, plain.named_variables()[name], rtol=1e-6, atol=1e-7)


def test_terms_are_added_at_every_knot(tmp_path):
    flow, more = made(KINDS[2] | {"smooth_lengths": []}), made(KINDS[2] | {"features": 3}, lattice=Lattice((6, 6)), seed=2)
    save_weights(tmp_path / "weights.npz", flow)
    expected = flow.named_variables()["equivariant_ode/log_frequencies"].numpy()
    transfer_weights(tmp_path / "weights.npz", more)
    np.testing.assert_array_equal(more.named_variables()["equivariant_ode/log_frequencies"][:, :2], expected)
    assert more.named_variables()["equivariant_ode/smooth_log_lengths"].shape == (3, 1)


def test_a_kernel_that_depends_on_the_coupling_is_refused(tmp_path, monkeypatch):
    """Spectra of large lattices have one that is not trained, of which there is one for all couplings."""
    flow = made(lattice=Lattice((6, 6)))
    save_weights(tmp_path / "weights.npz", flow)
    for name, value in {"_MOST_CLASSES": 12, "_LOWEST": 6, "_KNOTS": 20}.items():
        monkeypatch.setattr(fourier_scaling, name, value)
    with pytest.raises(
        CheckpointError, match=r"fourier_scaling/kernel would have to depend on the coupling: train a flow for each"
    ):
        transfer_weights(tmp_path / "weights.npz", made(lattice=Lattice((12, 12))))


def test_weights_for_one_coupling_are_a_start_for_all(tmp_path):
    plain, flow = affine(LATTICE, layers=2, seed=3), made()
    save_weights(tmp_path / "weights.npz", plain)
    transfer_weights(tmp_path / "weights.npz", flow)
    for name, variable in flow.at(6.1).named_variables().items():
        np.testing.assert_allclose(variable, plain.named_variables()[name], rtol=1e-6)


def test_couplings_out_of_the_range_and_knots_that_do_not_ascend_are_refused():
    with pytest.raises(ValueError, match=r"conditioned on lam between 4 and 7, got 7\.5: choose a value in this range"):
        made().at(7.5)
    with pytest.raises(ConfigError, match=r"knots must ascend, got \[4.0, 4.0\]"):
        FLOWS.build({"name": "conditioned", "knots": [4.0, 4.0]}, LATTICE, 1)
