"""Chunks add up to the batch."""

import numpy as np
import pytest
import tensorflow as tf

from lattice_flows.actions import ScalarPhi4
from lattice_flows.flows import affine
from lattice_flows.lattice import Lattice
from lattice_flows.training import chunks
from lattice_flows.training.objectives import ESTIMATORS

# With a prior that is trained, for chunks draw from it.
SMALL = {"layers": 1, "network": {"name": "dense", "hidden": [4]}, "fourier_scaling": False, "element_wise_maps": False}


@pytest.mark.parametrize(("name", "with_fisher", "batch"), [("path", True, 12), ("reparameterisation", False, 11)])
def test_chunks_make_the_same_estimate(monkeypatch, name, with_fisher, batch):
    lattice = Lattice((2, 2))
    flow, action = affine(lattice, **SMALL), ScalarPhi4(lattice, m2=1.0, lam=0.5)

    def draw():  # the path of the gradient begins here
        return tf.cast(tf.ensure_shape(flow.prior.sample(batch, seed=[1, 2]), [batch, 2, 2]), tf.float32)

    estimator = ESTIMATORS.find(name)
    monkeypatch.setattr(chunks, "SITES_AT_ONCE", 4 * 5)  # of 12 samples, chunks of at most 5 are of 4; of 11, of 4, 4 and 3
    chunked = chunks.in_chunks(estimator, batch, lattice.volume)
    assert chunked is not estimator and chunks.in_chunks(estimator, 4, lattice.volume) is estimator
    for one, other in zip(
        tf.function(estimator, jit_compile=True)(flow, action, draw, with_fisher=with_fisher),
        tf.function(chunked, jit_compile=True)(flow, action, draw, with_fisher=with_fisher),
        strict=True,
    ):
        if one is None:
            assert other is None
        else:
            np.testing.assert_allclose(one, other, atol=1e-4 * np.max(np.abs(one)))


@pytest.mark.parametrize(
    ("batch", "most", "size"), [(64, 100, 64), (64, 16, 16), (12, 5, 4), (67, 16, 14), (10007, 100, 100), (62, 30, 21), (7, 1, 1)]
)
def test_chunks_are_never_much_smaller_than_they_may_be(batch, most, size):
    assert chunks._size(batch, most) == size


def test_one_sample_is_the_smallest_chunk(monkeypatch):
    monkeypatch.setattr(chunks, "SITES_AT_ONCE", 1)
    assert chunks.in_chunks(ESTIMATORS.find("path"), 1, 16) is ESTIMATORS.find("path")
