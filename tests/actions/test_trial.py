"""Mistakes in an action of the user's own are told before anything is written, with what is wrong and where."""

import numpy as np
import pytest
import tensorflow as tf
import yaml

import lattice_flows as lf
from lattice_flows.actions import ACTIONS, Action, check_action
from lattice_flows.command_line import main
from lattice_flows.config import Component, ConfigError
from lattice_flows.lattice import Lattice


class NoSum(Action):
    name = "no_sum"

    def __call__(self, phi):
        return tf.cast(phi, tf.float64) ** 2


class WrongAxes(Action):
    name = "wrong_axes"

    def __call__(self, phi):
        return tf.reduce_sum(tf.cast(phi, tf.float64) ** 2, [axis - 1 for axis in self.lattice.axes])


class InNumPy(Action):
    name = "in_numpy"

    def __call__(self, phi):
        return np.sum(np.asarray(phi, np.float64) ** 2, axis=self.lattice.axes)


class PartlyInNumPy(Action):
    name = "partly_in_numpy"

    def __call__(self, phi):
        return tf.reduce_sum(tf.constant(np.asarray(phi), tf.float64) ** 2, self.lattice.axes)


class Misspelt(Action):
    name = "misspelt"

    def __call__(self, phi):
        return self.parameters["z"] * tf.reduce_sum(tf.cast(phi, tf.float64) ** 2, self.lattice.axes)


class InFloat32(Action):
    name = "in_float32"

    def __call__(self, phi):
        return tf.reduce_sum(phi**2, self.lattice.axes)


class AmongConfigurations(Action):
    name = "among_configurations"

    def __call__(self, phi):
        phi = tf.cast(phi, tf.float64)
        return tf.reduce_sum(phi * (phi - tf.roll(phi, 1, 0)), self.lattice.axes)


class Nothing(Action):
    name = "nothing"


WRONG = {
    Nothing: r"'nothing' has no value: define __call__\(phi\) in Nothing",
    NoSum: r"'no_sum' returned the shape \(2, 4, 4\) for a field of the shape \(2, 4, 4\) .*, expected \(2,\): sum over",
    WrongAxes: r"'wrong_axes' returned the shape \(4,\) .*, expected \(2,\)",
    InNumPy: r"'in_numpy' returned ndarray .*, expected a tensor: compute it with TensorFlow",
    PartlyInNumPy: r"'partly_in_numpy' fails with NotImplementedError, .*NumPy call.* \(.*test_trial\.py, line \d+\)",
    Misspelt: r"'misspelt' fails with KeyError, 'z' \(.*test_trial\.py, line \d+\)",
    InFloat32: r"'in_float32' returned the type float32 .*, expected float64: use tf.cast",
    AmongConfigurations: r"'among_configurations' is .* for the first of 2 configurations, and .* for the same one alone",
}


@pytest.mark.parametrize("action", WRONG)
def test_what_is_wrong_is_said(action):
    with pytest.raises(ConfigError, match=f"action {WRONG[action]}") as told:
        check_action(action(Lattice((4, 4))), tf.float32)
    assert "\n" not in str(told.value)


class InFloat64(Action):
    name = "in_float64"

    def __call__(self, phi):
        return tf.reduce_sum(phi**2 * tf.constant(2.0, tf.float64), self.lattice.axes)


class OfUnknownShape(Action):
    name = "of_unknown_shape"

    def __call__(self, phi):
        return tf.numpy_function(lambda phi: np.sum(phi.astype(np.float64) ** 2, axis=(1, 2)), [phi], tf.float64)


def test_what_works_without_a_flow_is_not_refused_there():
    for action in (InFloat32, InFloat64, OfUnknownShape):
        check_action(action(Lattice((4, 4))))
    with pytest.raises(ConfigError, match="'in_float64' fails"):
        check_action(InFloat64(Lattice((4, 4))), tf.float32)


def test_a_flow_is_no_action():
    flow = lf.flows.affine(Lattice((4, 4)), layers=2)
    with pytest.raises(ConfigError, match=r"the action is .*: build one on a lattice"):
        lf.train(flow, flow, progress=False)


def test_a_sum_over_the_wrong_axis_shows_on_every_lattice():
    for shape in ((2,), (2, 3), (3, 2)):
        with pytest.raises(ConfigError, match="returned the shape"):
            check_action(WrongAxes(Lattice(shape)))


def test_a_configuration_with_a_mistaken_action_leaves_nothing(tmp_path, capsys, monkeypatch):
    """Neither by a command, nor by the calls from Python."""
    monkeypatch.setitem(ACTIONS, NoSum.name, NoSum)
    with pytest.raises(ConfigError, match="action 'no_sum' returned the shape"):
        ACTIONS.build(Component(name="no_sum"), Lattice((4, 4)))
    configuration = {"lattice": {"shape": [4, 4]}, "action": {"name": "no_sum"}, "flow": {"name": "affine", "layers": 2}}
    (tmp_path / "file.yaml").write_text(yaml.safe_dump(configuration))
    for command in (["train"], ["baseline", "--sampler=hmc"]):
        assert main([*command, f"--config={tmp_path / 'file.yaml'}", f"--out={tmp_path / 'out'}"]) == 2
        assert "error: action 'no_sum' returned the shape (2, 4, 4)" in capsys.readouterr().err
    action = NoSum(Lattice((4, 4)))
    flow = lf.flows.affine(action.lattice, layers=2)
    for call in (
        lambda: lf.train(flow, action, out=tmp_path / "out", progress=False),
        lambda: lf.sample(flow, action, path=tmp_path / "out.h5", progress=False),
        lambda: lf.baseline(action, path=tmp_path / "out.h5", progress=False),
    ):
        with pytest.raises(ConfigError, match="action 'no_sum' returned the shape"):
            call()
    assert [path.name for path in tmp_path.iterdir()] == ["file.yaml"]


def test_what_fails_in_the_package_is_not_said_to_be_the_users():
    class Broken(lf.ScalarPhi4):
        """Fails in the code of the package alone."""

    action = Broken(Lattice((4, 4)), m2=1.0, lam=1.0)
    del action.parameters["lam"]
    with pytest.raises(KeyError, match="lam"):
        check_action(action)
