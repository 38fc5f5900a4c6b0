"""The state of a training, and the checkpoints that hold it."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from lattice_flows.flows import Flow, assign
from lattice_flows.io.arrays import CheckpointError, Checkpoints
from lattice_flows.training.evaluation import Evaluation
from lattice_flows.training.optimizers import Optimizer

__all__ = ["Summary", "TrainingState"]

_ARRAYS = ("weights", "best_weights", "optimizer")
_FORMAT = 2


class Summary(NamedTuple):
    """What a training did.

    Attributes:
      steps: optimisation steps made.
      seconds: training time, without compilation.
      compile_seconds: time for tracing and compilation.
      parameters: number of trained numbers.
      acceptance: expected acceptance of the best model, the one that is kept.
      ess: its effective sample size per sample.
      stopped: why the training ended.
      earlier_seconds: training time of the runs whose weights this one began with.
    """

    steps: int
    seconds: float
    compile_seconds: float
    parameters: int
    acceptance: float
    ess: float
    stopped: str
    earlier_seconds: float = 0.0


@dataclasses.dataclass
class TrainingState:
    """Everything that a training needs to resume. A checkpoint holds all of it.

    The weights of the flow and the state of the optimiser live in TensorFlow variables; `take` copies them here and `give` copies
    them back.

    Attributes:
      step: optimisation steps made.
      seconds: training time, without compilation.
      compile_seconds: time for tracing and compilation.
      earlier_seconds: training time of the runs whose weights this one began with.
      halvings: how often the step of the integration was halved.
      integration_steps: of the flow, see `Flow.integration_steps`.
      evaluations: all rows of `metrics.csv`.
      weights: of the flow, by name.
      best_weights: of the best model by effective sample size, by name; before the first evaluation, the initial ones.
      optimizer: the variables of the optimiser, by number.
    """

    step: int = 0
    seconds: float = 0.0
    compile_seconds: float = 0.0
    earlier_seconds: float = 0.0
    halvings: int = 0
    integration_steps: dict[str, int] = dataclasses.field(default_factory=dict)
    evaluations: list[Evaluation] = dataclasses.field(default_factory=list)
    weights: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    best_weights: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    optimizer: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def best(self) -> Evaluation | None:
        """The evaluation with the largest effective sample size; None before the first one."""
        return max(self.evaluations, key=lambda evaluation: evaluation.ess, default=None)

    def take(self, flow: Flow, optimizer: Optimizer) -> None:
        """Copies weights, integration steps and optimiser state from the variables."""
        self.integration_steps = flow.integration_steps
        self.weights = {name: variable.numpy() for name, variable in flow.named_variables().items()}
        self.optimizer = {str(index): variable.numpy() for index, variable in enumerate(optimizer.variables)}

    def give(self, flow: Flow, optimizer: Optimizer) -> None:
        """Sets the variables and the integration steps, in place.

        Raises:
          CheckpointError: the state belongs to another flow or optimiser. Nothing has changed then.
        """
        weights, moments = flow.named_variables(), {str(index): variable for index, variable in enumerate(optimizer.variables)}
        if self.integration_steps.keys() != flow.integration_steps.keys():
            raise CheckpointError(
                f"the checkpoint belongs to another flow: it integrates {sorted(self.integration_steps)}, "
                f"this one {sorted(flow.integration_steps)}"
            )
        if _shapes(self.weights) == _shapes(weights) and _shapes(self.optimizer) != _shapes(moments):
            raise CheckpointError(
                f"the checkpoint belongs to another optimizer than {type(optimizer).__name__}: "
                "continue with the optimizer that it was written with, or train in another folder"
            )
        # In one call, which checks everything before it changes anything.
        state = {f"optimizer/{name}": array for name, array in self.optimizer.items()}
        assign(weights | {f"optimizer/{name}": variable for name, variable in moments.items()}, self.weights | state)
        flow.set_integration_steps(self.integration_steps)

    def record(self, evaluation: Evaluation) -> None:
        """Adds an evaluation of the weights that were taken last, and keeps these if they are the best so far."""
        best = self.best
        if best is None or evaluation.ess > best.ess:
            self.best_weights = self.weights
        self.evaluations.append(evaluation)

    def save(self, checkpoints: Checkpoints) -> None:
        """Writes a checkpoint. Raises `RunError` where that fails."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        arrays = {f"{kind}/{name}": array for kind in _ARRAYS for name, array in fields.pop(kind).items()}
        fields["evaluations"] = [evaluation._asdict() for evaluation in self.evaluations]
        checkpoints.save(self.step, arrays, {"format": _FORMAT, "state": fields})

    @classmethod
    def latest(cls, folder: Path, info: Callable[[str], None]) -> "TrainingState | None":
        """Reads the newest readable checkpoint of a folder; None if there is none.

        Args:
          folder: of the checkpoints.
          info: receives a line for every damaged checkpoint that is skipped.

        Raises:
          CheckpointError: all checkpoints are damaged, or an earlier version of this package wrote them.
        """
        found = Checkpoints(folder).latest(info)
        if found is None:
            return None
        arrays, diagnostics = found
        if diagnostics.get("format") != _FORMAT:
            raise CheckpointError(
                f"the checkpoints in {folder} were written by an earlier version of lattice_flows and cannot be resumed; "
                f"start a run in another folder, with {folder.parent / 'weights.npz'} as training.init_from to keep its weights"
            )
        fields: dict[str, Any] = diagnostics["state"]
        fields["evaluations"] = [Evaluation(**evaluation) for evaluation in fields["evaluations"]]
        for kind in _ARRAYS:
            prefix = f"{kind}/"
            fields[kind] = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        return cls(**fields)


def _shapes(arrays: Mapping[str, np.ndarray | tf.Variable]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(array.shape) for name, array in arrays.items()}
