"""TensorBoard's files of a training, read back by TensorBoard itself."""

import importlib.util
import io
import math
import time

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from small import ACTION, gaussian_flow, settings

from lattice_flows import tensorboard
from lattice_flows.config import ConfigError
from lattice_flows.io.files import RunError
from lattice_flows.tensorboard import TensorBoard
from lattice_flows.training.evaluation import Evaluation
from lattice_flows.training.trainer import Trainer


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What TensorBoard reads of a training of 20 steps with two evaluations, and the summary of the training."""
    run = tmp_path_factory.mktemp("run")
    with TensorBoard(run, ACTION) as board:
        summary = Trainer(gaussian_flow(), ACTION, settings(steps=20)).run(board=board)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), {"tensors": 0})
    return events.Reload(), summary


def tensors(events, tag):
    from tensorboard.util.tensor_util import make_ndarray

    return [(event.step, make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]


def test_every_step_and_all_numbers_of_evaluations_are_there(shown):
    events, summary = shown
    assert [step for step, _ in tensors(events, "step/loss")] == list(range(1, 21))
    acceptance = {step: value.item() for step, value in tensors(events, "evaluation/acceptance")}
    assert list(acceptance) == [10, 20] and max(acceptance.values()) == pytest.approx(summary.acceptance, abs=0.05)
    assert {"evaluation/kl", "evaluation/learning_rate"} < set(events.Tags()["tensors"])
    assert "evaluation/forward_ess" not in events.Tags()["tensors"]  # not known


def test_the_histogram_is_that_of_log_weights_around_their_median(shown):
    for _, histogram in tensors(shown[0], "log_weight"):
        left, right, count = histogram.T
        assert count.sum() == 2048 and left[0] < 0 < right[-1]
        assert abs(count[right <= 0].sum() - 1024) < 300  # half of them, up to the bin around zero


def test_images_are_pictures_of_some_size(shown):
    for tag in ("action_against_log_q", "fields"):
        for _, (width, height, png) in tensors(shown[0], tag):
            picture = matplotlib.image.imread(io.BytesIO(png), format="png")
            assert picture.shape[:2] == (int(height), int(width)) and int(width) > 200 and np.std(picture[..., :3]) > 0.05


def test_a_training_is_the_same_with_it_and_without(shown):
    alone = Trainer(gaussian_flow(), ACTION, settings(steps=20)).run()
    assert (alone.kl, alone.acceptance) == (shown[1].kl, shown[1].acceptance)


def test_steps_cost_little(tmp_path):
    with TensorBoard(tmp_path, ACTION) as board:
        board.step(0, 1.0)
        start = time.perf_counter()
        for step in range(100):
            board.step(step, math.nan if step % 2 else 1.0)
        assert (time.perf_counter() - start) / 100 < 0.01


def test_what_is_not_finite_is_not_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(tensorboard.plots, "configurations", lambda fields: drawn.extend(fields.values()) or Figure())
    phi = np.random.default_rng(1).normal(size=(5, *ACTION.lattice.shape))
    phi[0] = np.nan
    numbers = Evaluation(**dict.fromkeys(Evaluation._fields, 1))
    with TensorBoard(tmp_path, ACTION) as board:
        board.evaluation(numbers, phi, np.zeros(5))
        board.evaluation(numbers, phi, np.full(5, -np.inf))
    np.testing.assert_array_equal(drawn, phi[1:])


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path):
    (tmp_path / "tensorboard").touch()
    with pytest.raises(RunError, match=r"^cannot write .*tensorboard: .*; train without --tensorboard, or make room$"):
        TensorBoard(tmp_path, ACTION)


def test_a_missing_package_is_said_before_anything_begins(monkeypatch):
    tensorboard.check()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"need the package tensorboard: pip install 'lattice-flows\[tensorboard\]'"):
        tensorboard.check()
