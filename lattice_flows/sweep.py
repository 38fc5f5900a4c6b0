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
from lattice_flows.config.aliases import RENAMED
from lattice_flows.config.keys import as_text, described, given, trees
from lattice_flows.errors import UserError
from lattice_flows.io.files import FolderInUse, RunError, write_text, writing
from lattice_flows.io.histories import CONFIG
from lattice_flows.io.locks import LOCK_FILES, lock_folder
from lattice_flows.io.runs import FREE_ON_RESUME
from lattice_flows.measurement.tables import text_table
from lattice_flows.pipeline import completed, train_run
from lattice_flows.progress import Progress
from lattice_flows.reading import read_text, reading
from lattice_flows.training.judgement import doubts
from lattice_flows.training.parts import training_parts
from lattice_flows.training.records import OpensBoard
from lattice_flows.training.state import Summary
from lattice_flows.training.stopping import TrainingDiverged

__all__ = ["Point", "axes", "points", "sweep"]

_NAME, _JUDGED = "sweep", "judged"
_OF_SUMMARY = ("parameters", "steps", "seconds", "acceptance", "ess", "kl", "k_hat")
_TITLES = ("parameters", "steps", "seconds", "acceptance", "ESS", "KL", "k-hat", _JUDGED)
_FORMATS = (".0f", ".0f", ".0f", ".4f", ".4f", ".3g", ".2f")
_GOOD, _NOT_GOOD = "good", "not trustworthy"
_LONGEST_REASON = 100  # characters in a table
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[-+]?\d+)?")


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


class _Row(NamedTuple):
    """A line of the table: the swept values as texts, the numbers of `_OF_SUMMARY`, None where there is none, and the verdict."""

    values: tuple[str, ...]
    numbers: tuple[float | None, ...]
    verdict: str


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
        config = load(path, *overrides, *trees(values))
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
      resume: continue an earlier sweep of the same keys in that folder, with the same values or others: trainings that have ended
        are kept, those that failed are tried again.
      board: opens what shows every training elsewhere, see `pipeline.train_run`.

    Returns:
      the points, with summaries and verdicts.

    Raises:
      RunError: the folder, or that of a training, is in use, by another process too, holds something else, another sweep too, or
        cannot be written.
      UnreadableFile: the table of the earlier sweep is damaged.
    """
    out, progress, ended = Path(out), progress or Progress(quiet=True), []
    _check_folder(out, resume)
    with lock_folder(out):
        _check_folder(out, resume)
        rows = _earlier(out, planned[0])
        if not rows:
            _write(out, planned, rows)
        with progress.whole([part for point in planned for part in training_parts(point.config, described(point.values))]):
            for number, point in enumerate(planned, 1):
                progress.info(f"training {number} of {len(planned)}: {described(point.values)}")
                ended.append(_trained(point, strategy, progress, resume, board))
                rows[_texts(point)] = _row(ended[-1])
                _write(out, planned, rows)
    progress.info(f"{_table(list(planned[0].values), _ordered(planned, rows))}\n\nin {out / _NAME}.md, .csv, .png and .pdf")
    return ended


def _trained(
    point: Point, strategy: tf.distribute.Strategy | None, progress: Progress, resume: bool, board: OpensBoard | None
) -> Point:
    """A point at its end, whatever that is. A `RunError` is none: it is about the folder, and says nothing about the training."""
    try:
        trained = train_run(point.config, point.folder, strategy, progress, resume=resume, board=board)
    except RunError:
        raise
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


def _earlier(out: Path, point: Point) -> dict[tuple[str, ...], _Row]:
    """The rows of the sweep that a folder holds, by their values.

    Raises:
      RunError: it is a sweep of other keys than those of the point, or of another configuration.
      UnreadableFile: its table is damaged.
    """
    keys, path = list(point.values), out / f"{_NAME}.csv"
    if not path.exists():
        return {}
    with reading(path, "choose another folder"):
        header, *lines = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
        there = [name for name in header if name not in (*_OF_SUMMARY, _JUDGED)]
        found = {}
        for line in lines:
            cells = dict(zip(header, line, strict=True))
            values = tuple(cells[key] for key in there)
            found[values] = _Row(values, tuple(_number(cells[name]) for name in _OF_SUMMARY), cells[_JUDGED])
    if there != keys:
        raise RunError(
            f"cannot resume in {out}: it holds a sweep over {', '.join(there)}, not over {', '.join(keys)}: "
            "give the same keys in the same order, or choose another folder"
        )
    _check_configuration(out, point)
    return found


def _number(cell: str) -> float | None:
    if not cell:
        return None
    return int(cell) if cell.isdecimal() else float(cell)


def _check_configuration(out: Path, point: Point) -> None:
    """Raises a `RunError` if a training in a folder differs from a point by more than the swept keys and what may change."""
    swept = [RENAMED.get(key, key).removesuffix(".name") for key in point.values]  # with another name, a part has other keys
    free, config = (*FREE_ON_RESUME, *(f"{key}." for key in swept)), completed(point.config)
    for file in sorted(out.glob("/".join([*(f"{key}=*" for key in point.values), CONFIG]))):
        different = completed(load(file)).differences(config)
        if other := {key: pair for key, pair in different.items() if not f"{key}.".startswith(free)}:
            listed = ", ".join(f"{key} {was!r}, not {now!r}" for key, (was, now) in other.items())
            raise RunError(
                f"cannot resume in {out}: its training {file.parent.relative_to(out)} has {listed}: "
                "leave that as it was, or choose another folder"
            )


def _row(point: Point) -> _Row:
    """The line of a point that has ended, with the steps and the time of all trainings that its weights have had."""
    whole = point.summary
    if whole is not None:
        whole = whole._replace(steps=whole.earlier_steps + whole.steps, seconds=whole.earlier_seconds + whole.seconds)
    return _Row(_texts(point), tuple(getattr(whole, name, None) for name in _OF_SUMMARY), point.verdict or "")


def _texts(point: Point) -> tuple[str, ...]:
    return tuple(map(as_text, point.values.values()))


def _ordered(planned: Sequence[Point], rows: Mapping[tuple[str, ...], _Row]) -> list[_Row]:
    """The rows in the order of the points, and after them those of values that are not swept this time."""
    places = {_texts(point): place for place, point in enumerate(planned)}
    return sorted(rows.values(), key=lambda row: places.get(row.values, len(places)))


def _write(out: Path, planned: Sequence[Point], rows: Mapping[tuple[str, ...], _Row]) -> None:
    """Writes the tables, and the figure once there is something to draw."""
    keys, ordered, text = list(planned[0].values), _ordered(planned, rows), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*keys, *_OF_SUMMARY, _JUDGED])
    writer.writerows([*row.values, *row.numbers, row.verdict] for row in ordered)
    write_text(out / f"{_NAME}.csv", text.getvalue())
    write_text(out / f"{_NAME}.md", _table(keys, ordered) + "\n")
    lines: dict[str, list[tuple[float | str, float, float, bool]]] = {}
    for row in ordered:
        first, *others = row.values
        acceptance, ess = (row.numbers[_OF_SUMMARY.index(name)] for name in ("acceptance", "ess"))
        if acceptance is not None and ess is not None:
            label = described(dict(zip(keys[1:], others, strict=True)))
            value = float(first) if _NUMBER.fullmatch(first) else first
            lines.setdefault(label, []).append((value, acceptance, ess, row.verdict == _GOOD))
    if lines:
        plots.save(plots.quality_against(keys[0], lines), out, _NAME)


def _table(keys: Sequence[str], rows: Sequence[_Row]) -> str:
    cells = []
    for row in rows:
        shown = ["" if number is None else f"{number:{how}}" for number, how in zip(row.numbers, _FORMATS, strict=True)]
        verdict = row.verdict if len(row.verdict) <= _LONGEST_REASON else f"{row.verdict[:_LONGEST_REASON]} ..."
        cells.append([*row.values, *shown, verdict.replace("|", "/")])
    return text_table([*keys, *_TITLES], cells, compact=True)


def _in_a_path(value: Any) -> str:
    """The value with letters alone that every file system takes."""
    return re.sub(r"[^\w.+-]+", "_", as_text(value)).strip("_")
