"""Value and log-determinant from one evaluation, by a cache that is private to TFP."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.bijectors import AugmentedBijector

CHANGED = (
    f"TFP {tfp.__version__} has changed its private cache of bijectors, which lattice_flows.bijectors.augmented relies on. Use "
    "another version of TFP, or keep value and log-determinant there by another means"
)


class Doubling(AugmentedBijector):
    """`y = 2 x` of fields `[batch, 3]`; counts its evaluations."""

    def __init__(self):
        self.evaluations = []
        super().__init__(forward_min_event_ndims=1, name="doubling", parameters={})

    def _augmented_forward(self, x):
        self.evaluations.append("forward")
        fldj = tf.fill(tf.shape(x)[:-1], tf.constant(3 * np.log(2.0)))
        return 2 * x, {"fldj": fldj, "ildj": -fldj}

    def _augmented_inverse(self, y):
        self.evaluations.append("inverse")
        ildj = tf.fill(tf.shape(y)[:-1], tf.constant(-3 * np.log(2.0)))
        return y / 2, {"fldj": -ildj, "ildj": ildj}


def test_the_private_cache_is_what_it_was():
    from tensorflow_probability.python.internal import cache_util

    assert hasattr(cache_util, "BijectorCacheWithGreedyAttrs"), CHANGED
    cache = Doubling._cache
    assert hasattr(cache, "forward_attributes") and hasattr(cache, "inverse_attributes"), CHANGED


@pytest.mark.parametrize("first", ["value", "log_det"])
@pytest.mark.parametrize(("direction", "sign"), [("forward", 1), ("inverse", -1)])
def test_one_evaluation_gives_both_whichever_is_asked_for_first(direction, sign, first):
    bijector, x = Doubling(), tf.constant(np.random.default_rng(1).normal(size=(2, 3)))
    asked = {"value": lambda: getattr(bijector, direction)(x)}
    asked["log_det"] = lambda: getattr(bijector, f"{direction}_log_det_jacobian")(x, event_ndims=1)
    found = {key: asked[key]() for key in sorted(asked, reverse=first == "value")}
    np.testing.assert_allclose(found["value"], x * 2.0**sign)
    np.testing.assert_allclose(found["log_det"], sign * 3 * np.log(2), rtol=1e-6)
    assert bijector.evaluations == [direction], CHANGED


def test_the_way_back_is_remembered():
    bijector, x = Doubling(), tf.constant(np.random.default_rng(1).normal(size=(2, 3)))
    y = bijector.forward(x)
    assert bijector.inverse(y) is x, CHANGED
    np.testing.assert_allclose(bijector.inverse_log_det_jacobian(y, event_ndims=1), -3 * np.log(2), rtol=1e-6)
    assert bijector.evaluations == ["forward"], CHANGED
    bijector.inverse(tf.identity(y))
    assert bijector.evaluations == ["forward", "inverse"], CHANGED
