"""Parts that are solved by integration are found, and their steps changed, wherever they stand in a flow."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.bijectors import EquivariantODE, FourierScaling, SinhArcsinh
from lattice_flows.flows import Flow, affine
from lattice_flows.flows.integration import integrated_parts
from lattice_flows.lattice import Lattice

tfb, tfd = tfp.bijectors, tfp.distributions

LATTICE = Lattice((2, 2))


def ode(steps=2, name="equivariant_ode", strength=0.3):
    made = EquivariantODE(LATTICE, features=2, knots=2, steps=steps, integrator="rk4", name=name)
    made.trainable_variables[1].assign(np.random.default_rng(3).normal(scale=strength, size=made.trainable_variables[1].shape))
    return made


def flow(bijector, prior=None):
    return Flow(LATTICE, prior or tfd.Independent(tfd.Normal(tf.zeros([2, 2], tf.float64), 1.0), 2), bijector)


PLACES = {
    "alone": lambda: ode(),
    "between": lambda: tfb.Chain([FourierScaling(LATTICE), ode(), SinhArcsinh(2)]),
    "inverted": lambda: tfb.Invert(ode()),
    "deep": lambda: tfb.Chain([SinhArcsinh(2), tfb.Invert(tfb.Chain([FourierScaling(LATTICE), tfb.Invert(ode())]))]),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_part_is_found_and_refined_in_every_place(place):
    made = flow(PLACES[place]())
    assert not made.exact and made.integration_steps == {"equivariant_ode": 2}
    finer = made.refined()
    assert finer.integration_steps == {"equivariant_ode": 4} and made.integration_steps == {"equivariant_ode": 2}
    assert {id(variable) for variable in finer.variables} == {id(variable) for variable in made.variables}
    assert finer.named_variables().keys() == made.named_variables().keys()
    z = np.random.default_rng(4).normal(size=(3, 2, 2))
    coarse, fine = made.push_forward(z)[1], finer.push_forward(z)[1]
    assert np.all(coarse != fine)
    made.set_integration_steps({"equivariant_ode": 4})
    np.testing.assert_array_equal(made.push_forward(z)[1], fine)
    assert made.integration_steps == {"equivariant_ode": 4}


def test_parts_of_one_name_are_counted():
    with tf.name_scope("first"):
        first = ode(2)
    with tf.name_scope("second"):
        second = ode(3)
    made = flow(tfb.Chain([first, second]))
    assert made.integration_steps == {"equivariant_ode": 2, "equivariant_ode_1": 3}
    made.set_integration_steps({"equivariant_ode": 5, "equivariant_ode_1": 7})
    assert [part.integration_steps for part in made.bijector.bijectors] == [5, 7]


def test_a_part_that_stands_twice_is_one():
    part = ode()
    made = flow(tfb.Chain([part, SinhArcsinh(2), part])).refined()
    first, _, last = made.bijector.bijectors
    assert first is last and first.integration_steps == 4


def test_a_prior_may_be_integrated():
    made = flow(SinhArcsinh(2), prior=tfd.TransformedDistribution(flow(tfb.Identity()).prior, ode()))
    assert made.refined().prior.bijector.integration_steps == 4


def test_exact_flows_have_no_steps():
    made = affine(LATTICE, layers=2)
    assert made.exact and made.refined() is None and integrated_parts(made) == {}
    made.set_integration_steps({})


class Closed(tfb.Bijector):
    """Holds a part that is not among its parameters."""

    def __init__(self, name="closed"):
        parameters = dict(locals())
        self._inner = ode()
        super().__init__(forward_min_event_ndims=2, name=name, parameters=parameters)


class Making(tfb.Bijector):
    """Makes a variable, which a copy would make anew."""

    def __init__(self, inner, name="making"):
        parameters = dict(locals())
        self._inner, self._scale = inner, tf.Variable(1.0)
        super().__init__(forward_min_event_ndims=2, name=name, parameters=parameters)


def test_composites_that_cannot_be_rebuilt_are_refused():
    for composite, message in (
        (Closed(), r"a part inside 'closed' \(Closed\): none of its `parameters` holds the part"),
        (Making(ode()), r"a part inside 'making' \(Making\): a copy of it makes new variables"),
    ):
        made = flow(tfb.Chain([SinhArcsinh(2), composite]))
        assert not made.exact
        with pytest.raises(ValueError, match=message):
            made.refined()


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ({}, r"exactly the parts \['equivariant_ode'\], got {}"),
        ({"other": 2}, r"exactly the parts \['equivariant_ode'\], got {'other': 2}"),
        ({"equivariant_ode": 0}, r"must be positive, got {'equivariant_ode': 0}"),
    ],
)
def test_steps_that_do_not_fit(steps, message):
    with pytest.raises(ValueError, match=message):
        flow(ode()).set_integration_steps(steps)
