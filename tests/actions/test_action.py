"""What every action has without asking for it."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.actions import Action, ScalarPhi4
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.series import time_series


class Sextic(Action):
    name = "sextic"

    def __call__(self, phi):
        return tf.reduce_sum(tf.cast(phi, tf.float64) ** 6, self.lattice.axes)


def test_its_series_follow_by_differentiation():
    phi = np.random.default_rng(1).normal(size=(5, 4, 4)).astype(np.float32)
    series = Sextic(Lattice((4, 4))).time_series(phi, {})
    sixth = np.mean(phi.astype(float) ** 6, axis=(1, 2))
    np.testing.assert_allclose(series["action_density"], sixth, rtol=1e-12)
    np.testing.assert_allclose(series["schwinger_dyson"], 6 * sixth, rtol=1e-12)


def test_its_repr_is_what_makes_it_again():
    assert repr(ScalarPhi4(Lattice((4, 6)), m2=-4.0, lam=8.0)) == "ScalarPhi4(Lattice((4, 6)), m2=-4.0, lam=8.0)"
    assert repr(Sextic(Lattice((4, 4)))) == "Sextic(Lattice((4, 4)))"


@pytest.mark.parametrize("shape", [(4, 4), (2, 4), (2, 4, 4)])
def test_closed_forms_are_those_of_differentiation(shape):
    action = ScalarPhi4(Lattice(shape), m2=-1.3, lam=0.7)
    phi = np.random.default_rng(2).normal(size=(5, *shape))
    closed, differentiated = (
        action.time_series(phi, time_series(phi, action.lattice.time_axes)),
        Action.time_series(action, phi, {}),
    )
    assert closed.keys() == differentiated.keys() and action.exact.keys() <= closed.keys()
    for name, values in closed.items():
        np.testing.assert_allclose(values, differentiated[name], rtol=1e-10, err_msg=name)


@pytest.mark.parametrize("shape", [(6,), (2, 3), (2, 4, 3)])
def test_the_force_in_closed_form_is_that_of_differentiation(shape):
    action = ScalarPhi4(Lattice(shape), m2=-1.3, lam=0.7)
    phi = np.random.default_rng(3).normal(size=(5, *shape)).astype(np.float32)
    assert action.force(phi).dtype == np.float64
    np.testing.assert_allclose(action.force(phi), Action.force(action, phi), rtol=1e-10, atol=1e-12)


def test_whether_an_action_is_even_is_found_by_itself():
    class WithSource(Sextic):
        name = "with_source"

        def __call__(self, phi):
            return super().__call__(phi) + 0.01 * tf.reduce_sum(tf.cast(phi, tf.float64), self.lattice.axes)

    assert Sextic(Lattice((4, 4))).even and ScalarPhi4(Lattice((4,)), m2=-1.0, lam=0.5).even
    assert not WithSource(Lattice((4, 4))).even


def test_an_action_without_local_changes_says_what_is_missing():
    with pytest.raises(NotImplementedError, match=r"which Sextic does not have: define change_at_each_site.*, or use another"):
        Sextic(Lattice((4, 4))).change_at_each_site(tf.zeros([1, 4, 4]), tf.ones([1, 4, 4]))


def test_another_action_needs_another_name():
    """Otherwise its results would be those of the action that it inherits from."""
    with pytest.raises(TypeError, match="Tilted defines another action: give the class a name of its own"):

        class Tilted(ScalarPhi4):
            def __call__(self, phi):
                return super().__call__(phi) + tf.reduce_sum(tf.cast(phi, tf.float64), self.lattice.axes)


def test_a_parameter_that_is_not_read_in_every_call_cannot_vary():
    class Remembering(Action):
        name = "remembering"

        def __init__(self, lattice, *, g: float = 1.0):
            super().__init__(lattice, g=g)
            self.twice = 2 * g

        def __call__(self, phi):
            return self.twice * tf.reduce_sum(tf.cast(phi, tf.float64) ** 2, self.lattice.axes)

    with pytest.raises(ValueError, match=r"'remembering' does not change with its parameter 'g': let __call__ read it from"):
        Remembering(Lattice((4, 4))).varied("g", tf.constant(3.0, tf.float64))
    phi = tf.ones([1, 4, 4], tf.float64)
    action = ScalarPhi4(Lattice((4, 4)), m2=-4.0, lam=5.0)
    np.testing.assert_allclose(action.varied("lam", tf.constant(6.0, tf.float64))(phi), action.at(lam=6.0)(phi))


def test_what_is_no_lattice_is_refused():
    with pytest.raises(TypeError, match=r"lattice is \(4, 4\): give lf.Lattice\(\(4, 4\)\)"):
        ScalarPhi4((4, 4), m2=1.0, lam=0.5)
