"""Device names. The tests run with two logical CPU devices and no GPU."""

import pytest
import tensorflow as tf

from lattice_flows.training.devices import DeviceError, choose_strategy, strategy_of, strategy_on


@pytest.mark.parametrize(("device", "replicas"), [("cpu", 1), ("cpu:1", 1), ("all", 1), ("cpu:0,cpu:1", 2)])
def test_devices(device, replicas):
    strategy = choose_strategy(device)
    assert strategy.num_replicas_in_sync == replicas
    assert isinstance(strategy, tf.distribute.MirroredStrategy if replicas > 1 else tf.distribute.OneDeviceStrategy)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu:7", r"device 'gpu:7' is not available; choose from cpu:0, cpu:1"),
        ("cpu:0,cpu:2", r"device 'cpu:2' is not available"),
        ("tpu", r"unknown device 'tpu': write cpu, gpu"),
        ("cpu,cpu:x", r"unknown device 'cpu:x': write cpu, gpu"),
        ("", r"unknown device ''"),
        ("cpu:1,cpu:1", r"a device is named twice in 'cpu:1,cpu:1'"),
    ],
)
def test_devices_that_are_not_available(device, message):
    with pytest.raises(DeviceError, match=message):
        choose_strategy(device)


@pytest.mark.parametrize("device", ["cpu:0", "cpu:1", "cpu:0,cpu:1"])
def test_the_strategy_of_variables_is_where_they_were_made(device):
    strategy = choose_strategy(device)
    with strategy.scope():
        variable = tf.Variable(1.0)
    assert strategy_of([variable]).extended.worker_devices == strategy.extended.worker_devices
    found = strategy_on(device, [variable])
    assert found.extended.worker_devices == strategy.extended.worker_devices
    assert found is strategy or found.num_replicas_in_sync == 1
    other = "cpu:1" if device == "cpu:0" else "cpu:0"
    with pytest.raises(DeviceError, match=f"the flow was built on .*, not on '{other}'. Build it there"):
        strategy_on(other, [variable])
    assert strategy_of([]).num_replicas_in_sync == 1
