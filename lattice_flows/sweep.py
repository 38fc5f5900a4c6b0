"""Trainings over all combinations of values of some keys of a configuration, in a table and a figure."""

import csv
import io
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from lattice_flows import plots
from lattice_flows.config import ConfigError, RunConfig, load
from lattice_flows.config.keys import as_text, described, given, tree
from lattice_flows.errors import UserError
from lattice_flows.io.files import FolderInUse, RunError, write_text, writing
from lattice_flows.io.locks import LOCK_FILES, lock_folder
from lattice_flows.measurement.tables import text_table
from lattice_flows.pipeline import completed, train_run
from lattice_flows.progress import Progress
from lattice_flows.training.judgement import doubts
from lattice_flows.training.parts import training_parts
from lattice_flows.training.records import OpensBoard
from lattice_flows.training.state import Summary
from lattice_flows.training.stopping import TrainingDiverged

__all__ = ["Point", "axes", "points", "sweep"]

_NAME = "sweep"
_OF_SUMMARY = ("parameters", "steps", "seconds", "acceptance", "ess", "kl", "k_hat")
_TITLES = ("parameters", "steps", "seconds", "acceptance", "ESS", "KL", "k-hat", "judged")
_FORMATS = ("d", "d", ".0f", ".4f", ".4f", ".3g", ".2f")
_GOOD, _NOT_GOOD = "good", "not trustworthy"
_LONGEST_REASON = 100  # characters in a table


class Point(NamedTuple):
    """One training of a sweep.

    Attributes:
      values: dotted key -> its value.
      config: of the training.
      folder: of the run, below that of the sweep.
      summary: of the training; None before its end.
      verdict: "good", "not trustworthy", or why there is no trained flow; None before the end.
    """

    values: Mapping[str, Any]
    config: RunConfig
    folder: Path
    summary: Summary | None = None
    verdict: str | None = None

    @property
    def good(self) -> bool:
        """Whether the flow is trained and its numbers can be trusted."""
        return self.verdict == _GOOD


def axes(over: Sequence[str]) -> dict[str, list[Any]]:
    """Dotted keys and their values, from texts such as `flow.layers=1,2,4`.

    Values stand between commas, each as in a configuration file, so lists and mappings are values too:
    `flow.network.hidden=[8,8],[16,16]`.

    ```python
    from lattice_flows.sweep import axes

    print(axes(["flow.layers=2,4", "training.learning_rate=1e-2"]))  # {'flow.layers': [2, 4], 'training.learning_rate': [0.01]}
    ```

    Raises:
      ConfigError: a text without a key or values, values that are no YAML, or a key or a value that stands twice.
    """
    found = given(over, "--over")
    for key, values in found.items():
        names = [_in_a_path(value) for value in values]
        if twice := [value for value, name in zip(values, names, strict=True) if names.count(name) > 1]:
            raise ConfigError(
                f"--over has {' and '.join(map(as_text, twice))} for {key}, which would have one folder: leave out one"
            )
    return found


def points(
    path: str | Path, overrides: Sequence[Mapping[str, Any] | Path], over: Mapping[str, Sequence[Any]], out: str | Path
) -> list[Point]:
    """The trainings of a sweep, one for each combination of values; those of the first key vary slowest.

    Args:
      path: the configuration, a file or a name.
      overrides: what changes in all trainings, see `config.load`.
      over: dotted key -> values, the strongest changes.
      out: the folder of the sweep.

    Raises:
      ConfigError: a file, key or value that cannot be used.
    """
    found = []
    for combination in itertools.product(*over.values()):
        values, folder = dict(zip(over, combination, strict=True)), Path(out)
        for key, value in values.items():
            folder /= f"{key}={_in_a_path(value)}"
        config = load(path, *overrides, *(tree(key, value) for key, value in values.items()))
        completed(config)
        found.append(Point(values, config, folder))
    return found


def sweep(
    planned: Sequence[Point],
    out: str | Path,
    strategy: tf.distribute.Strategy | None = None,
    progress: Progress | None = None,
    *,
    resume: bool = False,
    board: OpensBoard | None = None,
) -> list[Point]:
    """Trains all points of a sweep, one after the other.

    After each, `sweep.md` and `sweep.csv` (tables), `sweep.png` and `sweep.pdf` (acceptance and ESS against the first key) show all
    that have ended. A training that diverges or fails is a row that says so, and the sweep goes on.

    Args:
      planned: the points.
      out: the folder of the sweep.
      strategy: the devices; None for TensorFlow's default.
      progress: where progress is shown; None for silence.
      resume: continue an earlier sweep in that folder: trainings that have ended are kept, those that failed are tried again.
      board: opens what shows every training elsewhere, see `pipeline.train_run`.

    Returns:
      the points, with summaries and verdicts.

    Raises:
      RunError: the folder is in use, by another process too, holds something else, or cannot be written.
    """
    out, progress, ended = Path(out), progress or Progress(quiet=True), []
    _check_folder(out, resume)
    with lock_folder(out):
        _check_folder(out, resume)
        if not (out / f"{_NAME}.csv").exists():  # one that is continued keeps its table until there is more to say
            _write(out, planned, [])
        with progress.whole([part for point in planned for part in training_parts(point.config, described(point.values))]):
            for number, point in enumerate(planned, 1):
                progress.info(f"training {number} of {len(planned)}: {described(point.values)}")
                ended.append(_trained(point, strategy, progress, resume, board))
                _write(out, planned, ended)
    progress.info(f"{_table(planned, ended)}\n\nin {out / _NAME}.md, .csv, .png and .pdf")
    return ended


def _trained(
    point: Point, strategy: tf.distribute.Strategy | None, progress: Progress, resume: bool, board: OpensBoard | None
) -> Point:
    """A point at its end, whatever that is."""
    try:
        trained = train_run(point.config, point.folder, strategy, progress, resume=resume, board=board)
    except (UserError, MemoryError, tf.errors.ResourceExhaustedError) as error:
        kind = "diverged" if isinstance(error, TrainingDiverged) else "failed"
        reason = " ".join(str(error).split()) or type(error).__name__
        progress.info(f"{kind}: {reason}")
        return point._replace(verdict=f"{kind}: {reason}")
    trained.run.close()
    return point._replace(summary=trained.summary, verdict=_NOT_GOOD if doubts(trained.summary) else _GOOD)


def _check_folder(out: Path, resume: bool) -> None:
    """Raises a `RunError` where a sweep must not write."""
    with writing(out):
        used = out.is_dir() and any(file.name not in LOCK_FILES for file in out.iterdir())
        is_sweep = (out / f"{_NAME}.csv").exists()
    if used and not resume:
        raise (FolderInUse if is_sweep else RunError)(f"the output folder {out} is already in use: choose another folder")
    if used and not is_sweep:
        raise RunError(f"cannot resume in {out}: it holds no {_NAME}.csv, so it is not a sweep")


def _write(out: Path, planned: Sequence[Point], ended: Sequence[Point]) -> None:
    """Writes the tables, and the figure once there is something to draw."""
    keys = list(planned[0].values)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*keys, *_OF_SUMMARY, "judged"])
    for point in ended:
        numbers = [getattr(point.summary, name) for name in _OF_SUMMARY] if point.summary else [None] * len(_OF_SUMMARY)
        writer.writerow([*map(as_text, point.values.values()), *numbers, point.verdict])
    write_text(out / f"{_NAME}.csv", text.getvalue())
    write_text(out / f"{_NAME}.md", _table(planned, ended) + "\n")
    lines: dict[str, list[tuple[Any, float, float]]] = {}
    for point in ended:
        first, *others = point.values
        if point.summary:
            label = described({key: point.values[key] for key in others})
            value = point.values[first] if _is_number(point.values[first]) else as_text(point.values[first])
            lines.setdefault(label, []).append((value, point.summary.acceptance, point.summary.ess))
    if lines:
        plots.save(plots.quality_against(keys[0], lines), out, _NAME)


def _table(planned: Sequence[Point], ended: Sequence[Point]) -> str:
    rows = []
    for point in ended:
        numbers = [getattr(point.summary, name, None) for name in _OF_SUMMARY]
        shown = ["" if number is None else f"{number:{how}}" for number, how in zip(numbers, _FORMATS, strict=True)]
        verdict = point.verdict or ""
        verdict = verdict if len(verdict) <= _LONGEST_REASON else f"{verdict[:_LONGEST_REASON]} ..."
        rows.append([*map(as_text, point.values.values()), *shown, verdict.replace("|", "/")])
    return text_table([*planned[0].values, *_TITLES], rows, compact=True)


def _in_a_path(value: Any) -> str:
    """The value with letters alone that every file system takes."""
    return re.sub(r"[^\w.+-]+", "_", as_text(value)).strip("_")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
