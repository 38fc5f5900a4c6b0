"""Sub-seeds are reproducible and unrelated."""

import numpy as np

from lattice_flows.seeds import generator, sub_seed


def test_sub_seeds():
    assert sub_seed(1, "training", 2).shape == (2,) and sub_seed(1, "training", 2).dtype == np.int32
    np.testing.assert_array_equal(sub_seed(1, "training", 2), sub_seed(1, "training", 2))
    seeds = {tuple(sub_seed(s, p, i)) for s in (1, 2, 12) for p in ("training", "chain") for i in range(20)}
    assert len(seeds) == 120


def test_generators_follow_from_the_same_seeds():
    expected = np.random.default_rng(sub_seed(1, "start", 2).view(np.uint32)).random(3)
    np.testing.assert_array_equal(generator(1, "start", 2).random(3), expected)
    assert generator(1, "start").random() != generator(2, "start").random()
