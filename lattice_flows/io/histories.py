"""The history of a training in its run folder: evaluations in `metrics.csv`, single steps in `steps.csv`. No TensorFlow.

`metrics.csv` is replaced at each evaluation. `steps.csv` grows by a few lines every few seconds, so that a training can be watched
whose evaluations are minutes apart.
"""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lattice_flows.io.files import RunError, write_text, writing
from lattice_flows.reading import read_csv, reading

__all__ = [
    "CONFIG",
    "ENVIRONMENT",
    "METRICS",
    "STEPS",
    "WEIGHTS",
    "Curve",
    "StepLog",
    "check_run_folder",
    "curves",
    "stage_folders",
]

# The files of a run, and of a training.
CONFIG, ENVIRONMENT = "config.yaml", "environment.json"
METRICS, STEPS, WEIGHTS = "metrics.csv", "steps.csv", "weights.npz"
_COLUMNS = ("step", "loss", "seconds")
_SECONDS = 2.0  # from one writing of steps to the next
_STAGES = "stages"


class StepLog:
    """Writes `steps.csv`: the loss of every step and the training time after it.

    What an earlier process wrote after the step at which the training resumes is made again, and taken out.

    Args:
      folder: of the run.
      step: steps made before.

    Raises:
      RunError: the file cannot be written; so do all methods.
    """

    def __init__(self, folder: Path, step: int = 0):
        self._path, self._lines = folder / STEPS, [",".join(_COLUMNS)]
        if step and self._path.exists():
            rows = zip(*read_csv(self._path, _COLUMNS, "take it away", growing=True).values(), strict=True)
            self._lines += [_line(*row) for row in rows if row[0] <= step]
        write_text(self._path, "".join(f"{line}\n" for line in self._lines))
        self._lines, self._written = [], time.monotonic()

    def add(self, step: int, loss: float, seconds: float) -> None:
        """Adds a step.

        Args:
          step: steps made, this one included.
          loss: of its batch; NaN where its samples are not those of the flow.
          seconds: training time.
        """
        self._lines.append(_line(step, loss, seconds))
        if time.monotonic() > self._written + _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Writes what was added."""
        with writing(self._path), self._path.open("a") as file:
            file.write("".join(f"{line}\n" for line in self._lines))
        self._lines, self._written = [], time.monotonic()

    def __enter__(self) -> "StepLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()


class Curve(NamedTuple):
    """One quantity along a training and the stages before it.

    Attributes:
      steps: numbered on through the stages.
      values: at these steps.
      ends: of the stages.
    """

    steps: list[float]
    values: list[float]
    ends: list[float]


def check_run_folder(path: Path, files: Sequence[str] = (CONFIG,)) -> None:
    """Refuses what is not the folder of a run.

    Args:
      path: the folder.
      files: of which it must hold one.

    Raises:
      RunError: it is none.
    """
    with reading(path, "name a run folder", RunError):
        if path.is_file():
            raise RunError(f"{path} is a file, not a run folder: name the folder that a run has written")
        if not path.is_dir():
            raise RunError(f"there is no run folder {path}: name one that a run has written")
        if not any((path / name).exists() for name in files):
            inside = sorted(file.parent for file in path.glob(f"*/{CONFIG}"))
            hint = f"name a run in it, such as {inside[0]}" if inside else f"it holds no {CONFIG}, name one that a run has written"
            raise RunError(f"{path} is not a run folder: {hint}")


def stage_folders(run: Path) -> list[Path]:
    """The folders of the stages of a run, in their order, and its own, which comes last."""
    stages = [path for path in (run / _STAGES).glob("*") if path.name.isdigit()]
    return [*sorted(stages, key=lambda path: int(path.name)), run]


def curves(run: Path, items: Sequence[str]) -> dict[str, Curve]:
    """What a run has written so far of some quantities, step by step where they are known so, and otherwise by evaluations.

    Weights that a training begins with, at step 0, are left out: the stage before it ends there.

    Args:
      run: its folder.
      items: columns of `steps.csv` or `metrics.csv`.

    Raises:
      UnreadableFile: a damaged file.
    """
    found, before = {item: Curve([], [], []) for item in items}, 0.0
    for folder in stage_folders(run):
        tables = [read_csv(folder / name, ("step",), growing=True) for name in (STEPS, METRICS) if (folder / name).exists()]
        end = before + max((table["step"][-1] for table in tables if table["step"]), default=0.0)
        for item, curve in found.items():
            nothing: dict[str, list[float]] = {"step": [], item: []}
            table = next((table for table in tables if any(map(math.isfinite, table.get(item, ())))), nothing)
            pairs = zip(table["step"], table[item], strict=True)
            known = [(before + step, value) for step, value in pairs if step > 0 and math.isfinite(value)]
            curve.steps.extend(step for step, _ in known)
            curve.values.extend(value for _, value in known)
            if folder != run:
                curve.ends.append(end)
        before = end
    return found


def _line(step: float, loss: float, seconds: float) -> str:
    return f"{step:.0f},{'' if loss != loss else repr(loss)},{seconds:.3f}"
