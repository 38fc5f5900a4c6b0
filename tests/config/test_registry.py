"""Registries: parts are checked against the signature of what builds them."""

import math
from typing import Annotated

import pytest

from lattice_flows.config import Component, ConfigError, Registry
from lattice_flows.flows import FLOWS
from lattice_flows.lattice import Lattice
from lattice_flows.training.optimizers import OPTIMIZERS


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"name": "afine"}, r"unknown flow 'afine': did you mean 'affine'\?"),
        ({"layrs": 4}, r"flow 'affine': unknown key 'layrs': did you mean 'layers'\?"),
        ({"layers": "four"}, r"flow 'affine': key 'layers' has the value 'four': .* integer"),
        ({"network": {"name": "convolutional", "kernel_size": 4}}, r"network 'convolutional': kernel_size must be odd .* got 4"),
        ({"network": {"name": "dense", "hidden": [8], "activation": "relu6"}}, r"'activation' has the value 'relu6': .* 'tanh'"),
        ({"prior": {"name": "normal", "width": -1.0}}, r"prior 'normal': key 'width' has the value -1.0: .* greater than 0"),
        ({"prior": {"name": "gauss"}}, r"unknown prior 'gauss': known: free_field, normal.*; one of your own needs a program"),
        ({"prior": {"name": "free_field", "m2": -4.0}}, r"prior 'free_field': key 'm2' has the value -4.0: .* greater than 0"),
        ({"prior": {"name": "free_field", "width": 1.0}}, r"prior 'free_field': unknown key 'width': known: "),
        ({"partitions": ["chequerboard"]}, r"'partitions.0' has the value 'chequerboard': .* 'checkerboard' or 'stripes'"),
        ({"partitions": ["chess"]}, r"'partitions.0' has the value 'chess': [^;]*$"),
        ({"partitions": []}, r"flow 'affine': key 'partitions' has the value \[\]: it should have 1 or more entries"),
        ({"element_wise_maps": "yes"}, r"flow 'affine': key 'element_wise_maps' has the value 'yes': .* boolean"),
        ({"fourier_scalin": True}, r"flow 'affine': unknown key 'fourier_scalin': did you mean 'fourier_scaling'\?"),
        ({"network": {"name": "propagater"}}, r"unknown network 'propagater': did you mean 'propagator'\?"),
        (
            {"network": {"name": "propagator", "propagators": [1.0, -0.1]}},
            r"key 'propagators.1' has the value -0.1: .* greater than 0",
        ),
        ({"network": {"name": "propagator", "features": 0}}, r"network 'propagator': key 'features' has the value 0: .* than 0"),
        ({"network": {"name": "propagator", "hidden": [8]}}, r"network 'propagator': unknown key 'hidden'"),
    ],
)
def test_components_are_checked_against_what_they_build(parameters, message):
    whole = {"name": "affine", "layers": 2, "prior": {"name": "normal"}, "network": {"name": "convolutional"}}
    with pytest.raises(ConfigError, match=message):
        FLOWS.build(Component(**(whole | parameters)), Lattice((4, 4)), 1)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"name": "adm"}, r"unknown optimizer 'adm': did you mean 'adam'\?"),
        ({"name": "adam", "beta_1": 1.5}, r"optimizer 'adam': key 'beta_1' has the value 1.5: .* less than 1"),
        ({"name": "adam", "ridge": 1.0}, r"optimizer 'adam': unknown key 'ridge': known: beta_1, beta_2, gradient_clip"),
        ({"name": "natural_gradient", "decy": 0.9}, r"optimizer 'natural_gradient': unknown key 'decy': did you mean 'decay'\?"),
        (
            {"name": "natural_gradient", "largest_kl_step": 0.0},
            r"optimizer 'natural_gradient': key 'largest_kl_step' has the value 0.0: .* than 0",
        ),
    ],
)
def test_optimizers_are_checked_against_what_they_build(parameters, message):
    with pytest.raises(ConfigError, match=message):
        OPTIMIZERS.build(Component(**parameters), [], lambda updates: 1.0)


def test_build_passes_checked_parameters_with_their_defaults():
    def constructor(positional, *, size: int, scale: float = 2.0):
        return positional, size, scale

    things = Registry("thing", {"it": constructor})
    assert things.build(Component(name="it", size=3), "first") == ("first", 3, 2.0)
    with pytest.raises(ConfigError, match=r"thing 'it': missing key 'size'"):
        things.build("it", "first")
    things["positional"] = lambda positional, size=1: size
    with pytest.raises(
        ConfigError, match=r"unknown key 'size': there are no keys here; those .* keyword-only parameters, after \*"
    ):
        things.build({"name": "positional", "size": 3}, "first")


NORMAL = Component(name="normal")


def test_parts_of_a_part_are_checked_and_completed_with_it():
    priors = Registry("prior")

    @priors.register("normal")
    def normal(lattice, *, width: float = 1.0):
        return width

    def flow(lattice, *, prior: Annotated[Component, priors] = NORMAL, layers: int = 2):
        return priors.build(prior, lattice), layers

    flows = Registry("flow", {"mine": flow})
    assert flows.build("mine", None) == (1.0, 2)
    assert flows.build({"name": "mine", "prior": {"width": 2.0}}, None) == (2.0, 2)
    whole = {"name": "mine", "prior": {"name": "normal", "width": 1.0}, "layers": 2}
    assert flows.completed("mine").model_dump(mode="json") == whole
    with pytest.raises(ConfigError, match=r"prior 'normal': unknown key 'widht': did you mean 'width'"):
        flows.complete({"name": "mine", "prior": {"name": "normal", "widht": 2.0}})


def test_a_name_keeps_its_part():
    things = Registry("thing")

    def define(text):
        @things.register("it")
        def it(*, size: int = 1):
            return text

        return it

    first = define("first")
    assert things["it"] is first
    things["it"] = first
    assert things["it"]() == "first" and define("again") is things["it"]  # as a cell of a notebook that is executed again
    for part in (lambda: 1, Lattice):
        with pytest.raises(ConfigError, match=r"there is another thing 'it', \S+define.<locals>.it: choose another name"):
            things["it"] = part
        with pytest.raises(ConfigError, match=r"there is another thing 'it'"):
            things.update({"it": part})
    del things["it"]
    things["it"] = Lattice
    assert things.build("it", (4, 4)).volume == 16


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"scale": math.nan}, r"thing: key 'scale' has the value nan: it must be a finite number"),
        ({"anything": math.inf}, r"key 'anything' has the value inf: it must be a finite number"),
        ({"anything": {"a": [1, -math.inf]}}, r"key 'anything.a.1' has the value -inf"),
        ({"size": 10**5000}, r"key 'size' has the value an endless integer: .* an integer below 2\^31"),
    ],
)
def test_numbers_of_parts_are_finite(parameters, message):
    def it(*, size: int = 1, scale: float = 1.0, anything=None):
        return size

    things = Registry("thing", {"it": it})
    with pytest.raises(ConfigError, match=message):
        things.build({"name": "it", **parameters})
