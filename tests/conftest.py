"""Settings and fixtures shared by the tests."""

import os

import pytest

from lattice_flows.config import CONFIGS, load


def pytest_configure(config):
    """Makes two logical devices on any machine, so that data parallel training is tested without a GPU.

    Not in the process that only hands out tests to others, where importing TensorFlow would cost the start of every run.

    Fast tests compile much and compute little, so XLA does not optimise there; slow ones run what users run.
    """
    if config.getoption("markexpr") == "not slow":
        os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
    if not config.getoption("numprocesses"):
        import tensorflow as tf

        (cpu, *_), device = tf.config.list_physical_devices("CPU"), tf.config.LogicalDeviceConfiguration()
        tf.config.set_logical_device_configuration(cpu, [device, device])


# The default flow and natural gradients take many seconds to compile, a small dense network and Adam do not.
SMALL = {
    "lattice": {"shape": [4, 4]},
    "flow": {
        "layers": 2,
        "partitions": ["checkerboard"],
        "fourier_scaling": False,
        "element_wise_maps": False,
        "network": {"name": "dense", "hidden": [4]},
    },
    "training": {
        "steps": 40,
        "evaluate_every": 10,
        "batch_size": 16,
        "target_acceptance": None,
        "learning_rate": 0.01,
        "optimizer": {"name": "adam"},
        "gradient": "reparameterisation",
    },
    "chain": {"length": 2000, "thermalisation": 100},
}


@pytest.fixture(scope="session")
def small_config():
    """A configuration that trains in seconds: `small_config(override, ...)`."""
    return lambda *overrides: load(CONFIGS / "E1.yaml", SMALL, *overrides)


@pytest.fixture(scope="session")
def small_model(small_config):
    """The flow, untrained, and the action of `small_config()`: the same two for all tests, whose sampler is then compiled once."""
    from lattice_flows.pipeline import build_model

    return build_model(small_config())
