"""What a training writes into its run folder."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lattice_flows.actions import Action
from lattice_flows.flows import Flow, save_weights
from lattice_flows.io.arrays import Checkpoints
from lattice_flows.io.histories import METRICS, WEIGHTS, StepLog
from lattice_flows.io.runs import RunDirectory
from lattice_flows.training.evaluation import Evaluation, Evaluator, metrics_table
from lattice_flows.training.state import Summary, TrainingState

__all__ = ["CHECKPOINTS", "Board", "OpensBoard", "Records"]

CHECKPOINTS = "checkpoints"


class Board(Protocol):
    """Shows a training elsewhere, such as in TensorBoard."""

    def step(self, step: int, loss: float) -> None:
        """Shows the loss of a step; NaN where its samples are not those of the flow."""

    def evaluation(self, evaluation: Evaluation, phi: np.ndarray, log_weight: np.ndarray) -> None:
        """Shows an evaluation, and some of its fields with their log weights."""


OpensBoard = Callable[[Path, Action], contextlib.AbstractContextManager[Board]]
"""Opens a board for the folder of a run and its action."""


class Records:
    """The files of a training: `steps.csv`, `metrics.csv`, checkpoints, and at its end `weights.npz`.

    Args:
      run: its folder; None writes nothing.
      record: what `weights.npz` keeps besides the weights.
      board: shows the training elsewhere.

    Raises:
      RunError: a file cannot be written; so do all methods.
    """

    def __init__(self, run: RunDirectory | None, record: Mapping[str, Any] | None = None, board: Board | None = None):
        self._run, self._record, self._board = run, record or {}, board
        self._log: StepLog | None = None

    @contextlib.contextmanager
    def of_steps(self, done: int) -> Iterator[None]:
        """Takes steps while it is open.

        Args:
          done: steps made before.
        """
        with StepLog(self._run.path, done) if self._run else contextlib.nullcontext() as self._log:
            yield

    def step(self, step: int, loss: float, seconds: float) -> None:
        """Keeps a step, see `StepLog.add`."""
        if self._log:
            self._log.add(step, loss, seconds)
        if self._board:
            self._board.step(step, loss)

    def fields(self, state: TrainingState, evaluator: Evaluator) -> tuple[np.ndarray, ...]:
        """What a board shows of the last evaluation: some of its fields and their log weights, while the flow has its weights."""
        return evaluator.fields(len(state.evaluations) - 1) if self._board else ()

    def evaluation(self, state: TrainingState, shown: Sequence[np.ndarray]) -> None:
        """Writes the evaluations and the state after the last of them, and then shows what `fields` has found."""
        if self._run and self._log:
            self._run.write_text(METRICS, metrics_table(state.evaluations))
            self._log.flush()  # a training that goes on from this checkpoint finds all steps before it
            self.checkpoint(state)
        if self._board:
            self._board.evaluation(state.evaluations[-1], *shown)

    def checkpoint(self, state: TrainingState) -> None:
        """Writes the state."""
        if self._run:
            state.save(Checkpoints(self._run.path / CHECKPOINTS))

    def weights(self, flow: Flow, summary: Summary) -> None:
        """Writes the trained weights. The file says how they came about, so that it can be used without the run folder."""
        if self._run:
            save_weights(self._run.path / WEIGHTS, flow, {**self._record, "summary": summary._asdict()})
