"""Step times beside PyTorch's: that they are measured; the numbers themselves are the machine's."""

import importlib.util
import sys

import pytest

from lattice_flows.config import CONFIGS, ConfigError, load
from lattice_flows.paper.step_times import StepTimes, compiled_step, step_times

HAS_TORCH = importlib.util.find_spec("torch") is not None


def test_more_steps_take_more_time(small_config):
    step = compiled_step(small_config())
    assert 0 < min(step(1) for _ in range(3)) < step(100)


def test_step_times_are_shown():
    assert str(StepTimes(6, 9.71, 33.6, 0.2834)) == "L = 6: 9.7 ms a step, PyTorch 33.6 ms, ratio 0.28"


def test_a_python_without_torch_is_named(small_config):
    with pytest.raises(ConfigError, match=r"cannot be run with .*false: is torch installed there"):
        step_times(small_config(), "/bin/false", rounds=1, steps=1)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_TORCH, reason="PyTorch is not installed")
@pytest.mark.parametrize("table", ["E1", "E3", "E5"])
def test_a_step_of_the_common_network_takes_half_of_pytorchs_time(table):
    config = load(CONFIGS / f"{table}.yaml", CONFIGS / "flows" / "affine_conv.yaml")
    assert step_times(config, sys.executable, rounds=7, steps=10).ratio < 0.5
