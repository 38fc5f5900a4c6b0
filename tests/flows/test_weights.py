"""Weights in files: what is stored, what is restored, and what is refused."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.flows import (
    affine,
    assign,
    check_transfer,
    conditioned,
    continuous,
    load_weights,
    save_weights,
    transfer_weights,
)
from lattice_flows.io.arrays import CheckpointError, read_arrays, write_arrays
from lattice_flows.lattice import Lattice


def ode(shape=(4, 4), steps=3, **settings):
    return continuous(Lattice(shape), features=2, knots=2, steps=steps, integrator="rk4", **settings)


def disturbed(flow, seed=1):
    rng = np.random.default_rng(seed)
    for variable in flow.variables:
        variable.assign_add(rng.normal(scale=0.1, size=variable.shape))
    return flow


def test_weights_come_back_with_their_integration_steps(tmp_path):
    flow, other = disturbed(ode()), ode()
    flow.set_integration_steps({"equivariant_ode": 6})
    save_weights(tmp_path / "weights.npz", flow, {"acceptance": 0.7})
    diagnostics = load_weights(tmp_path / "weights.npz", other)
    assert diagnostics["acceptance"] == 0.7 and other.integration_steps == {"equivariant_ode": 6}
    phi = np.random.default_rng(2).normal(size=(3, 4, 4))
    np.testing.assert_array_equal(other.log_prob(phi), flow.log_prob(phi))


def test_old_files_leave_the_steps_of_the_flow(tmp_path):
    write_arrays(tmp_path / "weights.npz", disturbed(ode()).named_variables(), {"summary": {}})
    flow = ode(steps=5)
    load_weights(tmp_path / "weights.npz", flow)
    assert flow.integration_steps == {"equivariant_ode": 5}


def test_weights_of_an_earlier_version_keep_their_density(tmp_path):
    """Scalings had one number for all orbits of momenta with the same phat^2."""
    flow = affine(Lattice((4, 4)), layers=4)
    old, momenta = {}, Lattice((4, 4)).momentum_classes()[0]
    rng = np.random.default_rng(3)
    for name, variable in flow.named_variables().items():
        scale = rng.normal(scale=0.1, size=5) if "fourier" in name else variable.numpy()
        old[name] = scale.astype(np.float32)
        if "fourier" in name:
            variable.assign(old[name][np.unique(momenta, return_inverse=True)[1]])
    write_arrays(tmp_path / "weights.npz", old, {})
    other = affine(Lattice((4, 4)), layers=4)
    load_weights(tmp_path / "weights.npz", other)
    phi = rng.normal(size=(3, 4, 4))
    np.testing.assert_array_equal(other.log_prob(phi), flow.log_prob(phi))


def test_weights_go_to_another_lattice_with_their_steps(tmp_path):
    flow, larger = disturbed(ode()), ode((6, 6))
    flow.set_integration_steps({"equivariant_ode": 12})
    save_weights(tmp_path / "weights.npz", flow)
    transfer_weights(tmp_path / "weights.npz", larger)
    assert larger.integration_steps == {"equivariant_ode": 12}
    expected = flow.transferred({name: variable.numpy() for name, variable in flow.named_variables().items()}, flow.lattice)
    for name, array in expected.items():
        np.testing.assert_array_equal(flow.named_variables()[name], array)
    log_frequencies = "equivariant_ode/log_frequencies"
    np.testing.assert_array_equal(larger.named_variables()[log_frequencies], flow.named_variables()[log_frequencies])


def test_weights_go_to_a_flow_with_more_terms_and_not_back(tmp_path):
    flow, larger = disturbed(ode()), continuous(Lattice((6, 6)), features=3, knots=3, steps=3, smooth_lengths=(1.5,))
    save_weights(tmp_path / "weights.npz", flow)
    transfer_weights(tmp_path / "weights.npz", larger)
    frequencies = [each.named_variables()["equivariant_ode/log_frequencies"].numpy() for each in (flow, larger)]
    np.testing.assert_array_equal(frequencies[1][:2], frequencies[0])
    assert not np.any(larger.named_variables()["equivariant_ode/smooth_weights"])
    save_weights(tmp_path / "larger.npz", larger)
    with pytest.raises(CheckpointError, match=r"larger.npz: its 3 knots are not all among the 2 here, as they are among 3, 5, 7"):
        transfer_weights(tmp_path / "larger.npz", ode())


def test_an_old_file_says_its_lattice_in_its_configuration(tmp_path):
    flow = disturbed(ode())
    write_arrays(tmp_path / "weights.npz", flow.named_variables(), {"config": {"lattice": {"shape": [4, 4]}}})
    transfer_weights(tmp_path / "weights.npz", ode((6, 6)))
    write_arrays(tmp_path / "nowhere.npz", flow.named_variables())
    with pytest.raises(CheckpointError, match=r"nowhere.npz does not say which lattice its weights belong to"):
        transfer_weights(tmp_path / "nowhere.npz", ode((6, 6)))


def test_weights_of_another_number_of_dimensions_are_refused(tmp_path):
    save_weights(tmp_path / "weights.npz", ode())
    with pytest.raises(CheckpointError, match=r"lattice of 2 dimensions, the flow has 1"):
        transfer_weights(tmp_path / "weights.npz", ode((6,)))


def test_weights_of_another_kind_of_flow_are_refused(tmp_path):
    save_weights(tmp_path / "weights.npz", ode())
    flow = affine(Lattice((4, 4)), layers=2)
    before = [variable.numpy() for variable in flow.variables]
    with pytest.raises(CheckpointError, match=r"integration steps of \['equivariant_ode'\], the flow integrates \[\]"):
        load_weights(tmp_path / "weights.npz", flow)
    for variable, array in zip(flow.variables, before, strict=True):
        np.testing.assert_array_equal(variable, array)


def test_the_message_names_the_file_and_both_flows(tmp_path):
    path = tmp_path / "weights.npz"
    small, large = affine(Lattice((4, 4)), layers=2), affine(Lattice((4, 4)), layers=4)
    save_weights(path, large, {"config": {"flow": {"name": "affine"}}})
    with pytest.raises(
        CheckpointError, match=r"weights in \S+weights.npz belong to another flow: missing \[\], unknown .* and \d+ more$"
    ):
        load_weights(path, small)
    with pytest.raises(CheckpointError, match=r"another flow \(training.init_from: null begins with fresh ones\): missing"):
        transfer_weights(path, small)
    for give in (load_weights, transfer_weights):
        with pytest.raises(CheckpointError, match=r"weights.npz belong to another flow, 'affine', and this one is 'continuous'"):
            give(path, ode())
    with pytest.raises(
        CheckpointError, match=r"the weights belong to another flow, 'affine', and this one is 'continuous': missing"
    ):
        check_transfer(large, ode())
    for config in (None, [], {"flow": "affine"}, {"flow": {"name": 3}}):
        save_weights(path, large, {"config": config})
        with pytest.raises(CheckpointError, match=r"weights.npz belong to another flow"):
            load_weights(path, small)


def test_the_lattice_and_the_steps_are_in_the_file(tmp_path):
    save_weights(tmp_path / "weights.npz", ode())
    assert read_arrays(tmp_path / "weights.npz")[1] == {"lattice_shape": [4, 4], "integration_steps": {"equivariant_ode": 3}}


def test_arrays_that_do_not_fit_are_refused_and_change_nothing():
    variables = {"a": tf.Variable([1.0, 2.0]), "b": tf.Variable(3.0)}
    with pytest.raises(CheckpointError, match=r"missing \['b'\], unknown \['z'\]"):
        assign(variables, {"a": np.zeros(2), "z": np.zeros(())})
    with pytest.raises(CheckpointError, match=r"'b' has the shape \(\), the weights \(3,\)"):
        assign(variables, {"a": np.zeros(2), "b": np.zeros(3)})
    np.testing.assert_array_equal(variables["a"], [1.0, 2.0])
    assign(variables, {"a": np.zeros(2), "b": np.ones(())})
    assert variables["b"].numpy() == 1


def test_weights_of_another_lattice_or_condition_are_refused(tmp_path):
    """Though their names and shapes are the same."""
    path, turned = tmp_path / "weights.npz", ode((6, 4))
    save_weights(path, disturbed(ode((4, 6))))
    before = turned.fingerprint()
    with pytest.raises(CheckpointError, match=r"belong to the lattice \(4, 6\), and the flow is on \(6, 4\): use transfer_weights"):
        load_weights(path, turned)
    assert turned.fingerprint() == before
    transfer_weights(path, turned)

    def between(*knots, condition="lam"):
        return conditioned(Lattice((4, 4)), condition=condition, knots=knots, of={"name": "affine", "layers": 2})

    save_weights(path, between(4.0, 5.0))
    for give in (load_weights, transfer_weights):
        give(path, between(4.0, 5.0))
        for other in (between(4.0, 6.0), between(4.0, 5.0, condition="m2")):
            with pytest.raises(
                CheckpointError, match=r"are conditioned on lam at \[4.0, 5.0\], the flow on .*same condition and knots"
            ):
                give(path, other)
