"""The state of a training, and the checkpoints that hold it."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

from lattice_flows.flows import Flow, assign
from lattice_flows.io.arrays import CheckpointError, Checkpoints
from lattice_flows.io.histories import WEIGHTS
from lattice_flows.reading import reading
from lattice_flows.training.evaluation import Evaluation
from lattice_flows.training.guard import Guarded

__all__ = ["Summary", "TrainingState", "recorded_summary"]

_ARRAYS = ("weights", "best_weights", "optimizer")
_FORMAT = 3


class Summary(NamedTuple):
    """What a training did, and how good the model is that it kept, judged by fresh samples at its end.

    None stands for a number that is not known, as in files of earlier versions.

    Attributes:
      steps: optimisation steps made.
      seconds: training time, without compilation.
      compile_seconds: time for tracing and compilation.
      parameters: number of trainable numbers, also of those that `training.only` leaves out.
      acceptance: expected acceptance of independence Metropolis.
      ess: effective sample size per sample.
      stopped: why the training ended.
      earlier_seconds: training time of the runs whose weights this one began with.
      earlier_steps: the steps of those runs.
      kl, kl_error, k_hat, k_hat_error, log_weight_low, log_weight_high, forward_ess, condition: see `Evaluation`.
    """

    steps: int
    seconds: float
    compile_seconds: float
    parameters: int
    acceptance: float
    ess: float
    stopped: str
    earlier_seconds: float = 0.0
    earlier_steps: int = 0
    kl: float | None = None
    kl_error: float | None = None
    k_hat: float | None = None
    k_hat_error: float | None = None
    log_weight_low: float | None = None
    log_weight_high: float | None = None
    forward_ess: float | None = None
    condition: float | None = None


def recorded_summary(path: str | Path, diagnostics: Mapping[str, Any]) -> Summary:
    """The summary among the diagnostics of a weights file. Raises `CheckpointError` if it is missing or damaged."""
    with reading(path, "take the weights of a training that has ended", CheckpointError):
        summary = Summary(**diagnostics["summary"])
        if not isinstance(summary.stopped, str):
            raise ValueError("its summary is not that of a training")
        _numbers([value for name, value in summary._asdict().items() if name != "stopped" and value is not None])
        return summary


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
      earlier_steps: the steps of those runs, after whose batches those of this one come.
      halvings: how often the step of the integration was halved.
      integration_steps: of the flow, see `Flow.integration_steps`.
      evaluations: all rows of `metrics.csv`.
      weights: of the flow, by name.
      best_weights: of the best model, by name; before the first evaluation, the initial ones.
      judgement: the best evaluation with what fresh samples say after the training; None before its end.
      optimizer: the variables of the optimiser, by number.
    """

    step: int = 0
    seconds: float = 0.0
    compile_seconds: float = 0.0
    earlier_seconds: float = 0.0
    earlier_steps: int = 0
    halvings: int = 0
    integration_steps: dict[str, int] = dataclasses.field(default_factory=dict)
    evaluations: list[Evaluation] = dataclasses.field(default_factory=list)
    judgement: Evaluation | None = None
    weights: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    best_weights: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    optimizer: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def trained_steps(self) -> int:
        """The steps of all trainings that the weights have had, which is also the number of the next batch."""
        return self.earlier_steps + self.step

    @property
    def best(self) -> Evaluation | None:
        """The evaluation with the smallest Kullback-Leibler divergence; None before the first one.

        Among rows of earlier versions, which do not know it, the one with the largest effective sample size.
        """
        return min(self.evaluations, key=lambda evaluation: evaluation.distance, default=None)

    def take(self, flow: Flow, optimizer: Guarded) -> None:
        """Copies weights, integration steps and optimiser state from the variables."""
        self.integration_steps = flow.integration_steps
        self.weights = {name: variable.numpy() for name, variable in flow.named_variables().items()}
        self.optimizer = {str(index): variable.numpy() for index, variable in enumerate(optimizer.variables)}

    def give(self, flow: Flow, optimizer: Guarded) -> None:
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
                f"the checkpoint belongs to another optimizer than {type(optimizer.optimizer).__name__}: "
                "continue with the optimizer that it was written with, or train in another folder"
            )
        # In one call, which checks everything before it changes anything.
        state = {f"optimizer/{name}": array for name, array in self.optimizer.items()}
        assign(weights | {f"optimizer/{name}": variable for name, variable in moments.items()}, self.weights | state)
        flow.set_integration_steps(self.integration_steps)

    def record(self, evaluation: Evaluation) -> None:
        """Adds an evaluation of the weights that were taken last, and keeps these if they are the best so far."""
        best = self.best
        if best is None or evaluation.distance < best.distance:
            self.best_weights = self.weights
        self.evaluations.append(evaluation)
        self.judgement = None

    def summary(self, parameters: int, stopped: str) -> Summary:
        """The summary of a training that has ended, and been judged.

        Args:
          parameters: number of trainable numbers, also of those that `training.only` leaves out.
          stopped: why the training ended.
        """
        known = {name: value for name, value in self.judgement._asdict().items() if math.isfinite(value)}
        own = {name: getattr(self, name) for name in ("seconds", "compile_seconds", "earlier_seconds", "earlier_steps")}
        fresh = {name: known.get(name) for name in Summary._fields if name in Evaluation._fields and name not in own}
        return Summary(self.step, parameters=parameters, stopped=stopped, **own, **fresh)

    def save(self, checkpoints: Checkpoints) -> None:
        """Writes a checkpoint. Raises `RunError` where that fails."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        arrays = {f"{kind}/{name}": array for kind in _ARRAYS for name, array in fields.pop(kind).items()}
        fields["evaluations"] = [_known(evaluation) for evaluation in self.evaluations]
        fields["judgement"] = self.judgement and _known(self.judgement)
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
            weights = folder.parent / WEIGHTS
            keeping = f", with {weights} as training.init_from to keep its weights" if weights.exists() else ""
            raise CheckpointError(
                f"the checkpoints in {folder} were written by another version of lattice_flows and cannot be resumed; "
                f"start a run in another folder{keeping}"
            )
        with reading(folder, "start a run in another folder", CheckpointError):
            fields: dict[str, Any] = diagnostics["state"]
            fields["evaluations"] = [_numbers(Evaluation(**evaluation)) for evaluation in fields["evaluations"]]
            fields["judgement"] = _numbers(Evaluation(**fields["judgement"])) if fields.get("judgement") else None
            for kind in _ARRAYS:
                prefix = f"{kind}/"
                fields[kind] = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            state = cls(**fields)
            counts = (state.step, state.earlier_steps, state.halvings, *state.integration_steps.values())
            times = (state.seconds, state.compile_seconds, state.earlier_seconds)
            if not all(type(count) is int and 0 <= count < 2**31 for count in counts) or not all(map(_is_number, times)):
                raise ValueError("the state of the training has numbers that cannot be")
            return state


def _known(evaluation: Evaluation) -> dict[str, float]:
    """The fields that are finite, the only numbers that JSON can hold; the others have the defaults that mean unknown."""
    return {name: value for name, value in evaluation._asdict().items() if math.isfinite(value)}


Numbers = TypeVar("Numbers", bound=Iterable[Any])


def _numbers(numbers: Numbers) -> Numbers:
    if not all(map(_is_number, numbers)):
        raise ValueError(f"{numbers} should be numbers")
    return numbers


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**63)


def _shapes(arrays: Mapping[str, np.ndarray | tf.Variable]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(array.shape) for name, array in arrays.items()}
