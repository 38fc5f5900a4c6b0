"""Settings and fixtures shared by the tests."""

import pytest

import lattice_flows  # noqa: F401  (before TensorFlow, so that its log lines stay away)

import tensorflow as tf  # isort: skip

# Two logical devices on any machine, so that data parallel training is tested without a GPU. Before anything else uses TensorFlow.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration(), tf.config.LogicalDeviceConfiguration()]
)


from lattice_flows.config import CONFIGS, load

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
