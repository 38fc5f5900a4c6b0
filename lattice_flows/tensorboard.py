"""What TensorBoard shows of a training: its numbers, its log weights and its fields, in the folder `tensorboard` of the run.

`tensorboard --logdir runs/E1` shows them in a browser, those of the stages too. Needs the package tensorboard.
"""

import contextlib
import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lattice_flows import plots
from lattice_flows.actions import Action
from lattice_flows.config import ConfigError
from lattice_flows.io.files import RunError
from lattice_flows.training.evaluation import Evaluation

__all__ = ["TensorBoard", "check"]

_FOLDER = "tensorboard"
_FIELDS = 8


def check() -> None:
    """Raises `ConfigError` if the package tensorboard is missing."""
    if importlib.util.find_spec("tensorboard") is None:
        raise ConfigError("TensorBoard's files need the package tensorboard: pip install 'lattice-flows[tensorboard]'")


class TensorBoard:
    """Writes a training down for TensorBoard; a `Board` of `training.records`.

    Args:
      run: the folder of the run; files that are there stay.
      action: the target.

    Raises:
      RunError: a file cannot be written; so do all methods.
    """

    def __init__(self, run: Path, action: Action):
        self._folder, self._action = run / _FOLDER, action
        with self._writing():
            self._writer = tf.summary.create_file_writer(str(self._folder))

    def step(self, step: int, loss: float) -> None:
        """Writes the loss of a step; NaN is left out."""
        if not math.isnan(loss):
            with self._writing(), self._writer.as_default(step):
                tf.summary.scalar("step/loss", loss)

    def evaluation(self, evaluation: Evaluation, phi: np.ndarray, log_weight: np.ndarray) -> None:
        """Writes an evaluation.

        Args:
          evaluation: its numbers.
          phi: fields of the flow, `[n, *lattice_shape]`.
          log_weight: theirs, `[n]`. What is not finite is not drawn.
        """
        action = self._action(tf.constant(phi, tf.float64)).numpy()
        finite = np.isfinite(log_weight) & np.isfinite(action)
        with self._writing(), self._writer.as_default(evaluation.step):
            for name, value in evaluation._asdict().items():
                if name != "step" and math.isfinite(value):
                    tf.summary.scalar(f"evaluation/{name}", value)
            if finite.any():
                _draw(phi[finite], action[finite], log_weight[finite], f"step {evaluation.step}")
            self._writer.flush()

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(self, *_: object) -> None:
        with self._writing():
            self._writer.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except tf.errors.OpError as error:
            raise RunError(f"cannot write {self._folder}: {error.message}; train without --tensorboard, or make room") from error


def _draw(phi: np.ndarray, action: np.ndarray, log_weight: np.ndarray, title: str) -> None:
    tf.summary.histogram("log_weight", log_weight - np.median(log_weight))
    against = plots.action_against_log_q(action, -(log_weight + action), title)
    tf.summary.image("action_against_log_q", _pixels(against))
    fields = {f"field {number}": field for number, field in enumerate(phi[:_FIELDS], 1)}
    tf.summary.image("fields", _pixels(plots.configurations(fields)))


def _pixels(figure: Figure) -> np.ndarray:
    """A figure as an image, `[1, height, width, 4]`."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[np.newaxis]
