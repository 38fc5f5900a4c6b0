"""Sub-seeds are reproducible and unrelated."""

import numpy as np

from lattice_flows.seeds import sub_seed


def test_sub_seeds():
    assert sub_seed(1, "training", 2).shape == (2,) and sub_seed(1, "training", 2).dtype == np.int32
    np.testing.assert_array_equal(sub_seed(1, "training", 2), sub_seed(1, "training", 2))
    seeds = {tuple(sub_seed(s, p, i)) for s in (1, 2, 12) for p in ("training", "chain") for i in range(20)}
    assert len(seeds) == 120
