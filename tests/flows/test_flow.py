"""How a configuration becomes a flow; what every flow must satisfy is in test_flow_conformance.py."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.bijectors import FourierScaling, MaskedCoupling, SinhArcsinh
from lattice_flows.config import Component, ConfigError
from lattice_flows.flows import FLOWS, Flow, affine
from lattice_flows.flows.construction import built_with
from lattice_flows.lattice import Lattice
from lattice_flows.priors import normal

tfb, tfd = tfp.bijectors, tfp.distributions


def flow(layers=2, **parts):
    defaults = {"prior": {"name": "normal"}, "network": {"name": "dense", "hidden": [3]}}
    return FLOWS.build(Component(name="affine", layers=layers, **(defaults | parts)), Lattice((4, 4)), 1)


@pytest.mark.parametrize(
    ("network", "partitions", "claimed"),
    [
        ("dense", ["checkerboard"], set()),
        ("dense", ["checkerboard", "stripes"], set()),
        ("convolutional", ["checkerboard"], {"even translation"}),
        ("convolutional", ["stripes"], {"translation by 2"}),
        ("propagator", ["checkerboard"], {"even translation", "rotation", "reflection", "sign"}),
        ("propagator", ["checkerboard", "stripes"], {"translation by 2", "reflection", "sign"}),
    ],
)
def test_symmetries_that_are_claimed(network, partitions, claimed):
    hidden = {"hidden": [3]} if network == "dense" else {}
    assert flow(network={"name": network, **hidden}, partitions=partitions).symmetries == claimed


ALL = {"translation", "rotation", "reflection", "sign"}
CONTINUOUS = {"name": "continuous", "features": 1, "knots": 2, "steps": 1}
DENSE = {"name": "affine", "layers": 2, "prior": {"name": "normal"}, "network": {"name": "dense", "hidden": [3]}}
ACTION = {"name": "scalar_phi4", "m2": -4.0, "lam": 5.0}


@pytest.mark.parametrize(
    ("component", "claimed"),
    [
        (CONTINUOUS, ALL),
        ({"name": "marginalized", "of": CONTINUOUS, "action": ACTION}, ALL - {"translation"} | {"even translation"}),
        ({"name": "symmetrized", "of": DENSE}, {"sign"}),
        ({"name": "symmetrized", "of": CONTINUOUS}, ALL),
    ],
    ids=["continuous", "marginalized", "symmetrized dense", "symmetrized continuous"],
)
def test_symmetries_that_flows_of_other_kinds_claim(component, claimed):
    """That they have what they claim is in test_flow_conformance.py, which a flow that claims nothing passes."""
    assert FLOWS.build(Component(**component), Lattice((4, 4)), 1).symmetries == claimed


def test_its_repr_is_one_line():
    built = flow()
    assert repr(built) == f"Flow(affine, Lattice((4, 4)), {built.number_of_parameters()} parameters)"
    built.component = None
    assert repr(built).startswith("Flow(chain, ")


def test_parts_come_in_the_order_of_the_map_from_prior_to_field():
    bijector = flow(layers=4, fourier_scaling=True, element_wise_maps=True).bijector
    pair = [SinhArcsinh, MaskedCoupling, MaskedCoupling]
    assert [type(part) for part in bijector.bijectors[::-1]] == [*pair, FourierScaling, *pair]


def test_initial_weights_follow_from_the_seed_and_differ_between_couplings():
    kernels = {name: variable.numpy() for name, variable in flow().named_variables().items() if "dense_0/kernel" in name}
    again = flow().named_variables()
    first, second = kernels.values()
    assert (first != second).all()
    assert all((again[name].numpy() == kernel).all() for name, kernel in kernels.items())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"layers": 0}, r"flow 'affine': key 'layers' has the value 0: input should be greater than 0"),
        ({"partitions": ("check",)}, r"flow 'affine': key 'partitions.0' has the value 'check'"),
        ({"layer": 2}, r"flow 'affine': unknown key 'layer': did you mean 'layers'"),
    ],
)
def test_a_direct_call_is_checked_like_a_configuration(parameters, message):
    with pytest.raises(ConfigError, match=message):
        affine(Lattice((4, 4)), **parameters)
    built = affine(Lattice((4, 4)), layers=1, network={"name": "dense", "hidden": [3]})
    assert built.component == Component(name="affine", layers=1, network={"name": "dense", "hidden": [3]})


def test_products_of_float32_keep_their_bits():
    """TensorFloat-32, TensorFlow's default on newer GPUs, has 11 of 24."""
    assert not tf.config.experimental.tensor_float_32_execution_enabled()


def test_no_density_is_one_of_the_past():
    """Although TFP's bijectors remember what they have computed for a tensor."""
    made = {"flow": flow(), "prior": flow(prior={"name": "free_field", "mean_field": 0.5})}
    phi = tf.random.stateless_normal([3, 4, 4], [1, 2], dtype=tf.float64)
    for each in (made["flow"].distribution, made["prior"].prior):
        before = each.log_prob(phi)
        for variable in each.trainable_variables:
            variable.assign_add(0.1 * tf.ones_like(variable))
        after = each.log_prob(phi)
        assert np.all(np.abs(after - before) > 1e-6)
        np.testing.assert_allclose(after, each.log_prob(phi + 0))


def test_fields_of_another_shape_or_type_are_refused():
    made = flow()
    for call in (made.log_prob, made.push_forward):
        for fields in (tf.ones([3, 4, 1]), tf.ones([2, 1, 4]), tf.ones([4, 4]), tf.ones([2, 4, 4], tf.int32)):
            with pytest.raises(ValueError, match=r"must be float32 or float64 and have the shape \[batch, 4, 4\], got"):
                call(fields)
    for seed in (None, 1, [1, 2, 3]):
        with pytest.raises(ValueError, match=r"seed must be stateless, two integers such as \[1, 2\], got"):
            made.sample_and_log_prob(2, seed)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (tfd.Normal(tf.zeros([4, 4], tf.float64), 1), r"got events \(\) in a batch \(4, 4\): use tfd.Independent\(.*ndims=2\)"),
        (tfd.Independent(tfd.Normal(tf.zeros([4, 4]), 1), 2), "the prior must be float64, got <dtype: 'float32'>"),
        (normal(Lattice((4, 6))), r"a field of the shape \(4, 4\), got events \(4, 6\)"),
    ],
    ids=["no event", "float32", "another lattice"],
)
def test_priors_that_are_none_of_the_lattice_are_refused(prior, message):
    with pytest.raises(ValueError, match=message):
        Flow(Lattice((4, 4)), prior, SinhArcsinh(2))


def test_flows_built_by_hand_from_other_numbers_have_other_fingerprints():
    def made(width):
        return Flow(Lattice((4, 4)), normal(Lattice((4, 4)), width=width), SinhArcsinh(2))

    assert made(0.3).fingerprint() == made(0.3).fingerprint() != made(0.5).fingerprint()

    def splines(half_width):
        return flow(inner={"name": "rational_quadratic_spline", "half_width": half_width}).distribution

    def scaled(by):
        return tfb.Inline(forward_fn=lambda x: by * x, forward_min_event_ndims=0)

    for one, other in ((splines(3.0), splines(5.0)), (scaled(1.0), scaled(2.0))):
        assert built_with(one) != built_with(other)
    assert built_with(splines(3.0)) == built_with(splines(3.0))
    assert "0x" not in built_with(flow().distribution)  # no address, so that another process finds the same


def test_a_tuple_is_no_lattice():
    with pytest.raises(TypeError, match=r"lattice is \(4, 4\): give lf.Lattice\(\(4, 4\)\)"):
        affine((4, 4))


@pytest.mark.parametrize("outside", ["symmetrized", "marginalized"])
def test_a_conditioned_flow_is_no_part_of_another_one(outside):
    parameters = {"action": ACTION} if outside == "marginalized" else {}
    inner = {"name": "conditioned", "of": CONTINUOUS if outside == "marginalized" else DENSE}
    with pytest.raises(ConfigError, match=f"use conditioned with of: {{name: {outside}, of: ...}}"):
        FLOWS.build(Component(name=outside, of=inner, **parameters), Lattice((4, 4)), 1)
    twice = {"name": "marginalized", "of": {"name": "marginalized", "of": CONTINUOUS, "action": ACTION}, "action": ACTION}
    with pytest.raises(ConfigError, match=r"the even sites of OddSites\(Lattice\(\(4, 4\)\)\) are integrated out already"):
        FLOWS.build(twice, Lattice((4, 4)), 1)
