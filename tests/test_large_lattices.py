"""The default affine flow trains and samples on large lattices within 4 GiB."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
from lattice_flows.actions import ScalarPhi4
from lattice_flows.config import TrainingConfig
from lattice_flows.flows import affine
from lattice_flows.importance import WeightedSampler
from lattice_flows.lattice import Lattice
from lattice_flows.training.devices import choose_strategy
from lattice_flows.training.step import TrainingStep

lattice, strategy = Lattice({shape}), choose_strategy("cpu")
with strategy.scope():
    flow, action = affine(lattice), ScalarPhi4(lattice, m2=-4.0, lam=6.0)
step = TrainingStep(flow, action, TrainingConfig(), strategy)
losses = [step(np.array([1, index], np.int32)) for index in range(2)]
log_weight = WeightedSampler(flow, action, 512, seed=1).log_weights(512, "test")
assert np.all(np.isfinite(losses)) and np.all(np.isfinite(log_weight))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(128, 128), (12, 12, 12, 12)], ids=str)
def test_a_step_and_a_batch_of_samples_fit_into_four_gibibytes(shape):
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(shape=shape)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) / 2**20 < 4
