"""How a configuration becomes a flow; what every flow must satisfy is in test_flow_conformance.py."""

import pytest
import tensorflow as tf

from lattice_flows.bijectors import FourierScaling, MaskedCoupling, SinhArcsinh
from lattice_flows.config import Component, ConfigError
from lattice_flows.flows import FLOWS, affine
from lattice_flows.lattice import Lattice


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
