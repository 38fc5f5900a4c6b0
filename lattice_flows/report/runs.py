"""What a run has left on disk, as far as it got. Nothing is computed here that the run did not compute."""

import dataclasses
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from lattice_flows.config import RunConfig, load
from lattice_flows.errors import UserError
from lattice_flows.io.arrays import fingerprint, read_arrays
from lattice_flows.io.ensembles import ENSEMBLE
from lattice_flows.io.histories import CONFIG, ENVIRONMENT, METRICS, WEIGHTS, check_run_folder, stage_folders
from lattice_flows.io.locks import is_locked
from lattice_flows.io.segment_files import segments_folder
from lattice_flows.measurement.result import Result
from lattice_flows.plots import Film
from lattice_flows.reading import read_csv, read_json, reading
from lattice_flows.report.excerpts import OF_A_FLOW, Excerpt, read_excerpt

__all__ = ["NOISE_TO_FIELD", "Run", "read_run", "read_runs", "sampler_name", "unique_names"]

_RESULT = "result.json"
NOISE_TO_FIELD = "noise_to_field.npz"  # the frames that `films` leaves
_COLUMNS = ("step", "loss", "log_z", "acceptance", "ess")
_OF_ONE_CHAIN = ("acceptance", "samples_per_second", "updates_per_second")  # that no two chains have in common

Found = TypeVar("Found")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """A run as far as it got. What it has not left, or not yet, is None or empty.

    What was made with other weights than those in its folder counts as not there.

    Attributes:
      name: by which it is shown.
      path: its folder; None for a result from elsewhere.
      result: what was measured.
      history: of its training, see `plots.training_history`.
      config: its settings.
      environment: what it ran on.
      excerpt: of its ensemble.
      film: how its flow makes a field of noise, if that was drawn.
      has_flow: whether a flow was, or is being, trained in it.
      missing: sentences, each about something that is not there, and how it is made.
    """

    name: str
    path: Path | None = None
    result: Result | None = None
    history: Sequence[Mapping[str, Sequence[float]]] = ()
    config: RunConfig | None = None
    environment: Mapping[str, Any] | None = None
    excerpt: Excerpt | None = None
    film: Film | None = None
    has_flow: bool = False
    missing: Sequence[str] = ()

    @property
    def ensemble(self) -> tuple[tuple[int, ...], tuple[tuple[str, Any], ...]] | None:
        """Lattice and action, by which runs are compared; None where neither settings nor a result say them."""
        if self.result is not None:
            shape, action = self.result.lattice_shape, self.result.action
        elif self.config is not None:
            shape, action = self.config.lattice.shape, self.config.action.model_dump()
        else:
            return None
        return tuple(shape), _frozen(action)

    @property
    def kind(self) -> str:
        """What was sampled with, in words; of a training, its flow."""
        sampler = self.result.sampler if self.result else self.excerpt.made.get("sampler") if self.excerpt else None
        if sampler is None and not self.has_flow:
            return "not sampled yet"
        if sampler not in (None, OF_A_FLOW):
            return sampler_name(sampler)
        name = self.result.flow if self.result and self.result.flow else self.config and self.config.flow.name
        return f"{name} flow" if name else "flow"


def _frozen(action: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((key, tuple(value) if isinstance(value, list) else value) for key, value in action.items())


def sampler_name(registered: str) -> str:
    """A sampler in words, by the name that it is registered under."""
    names = {"hmc": "HMC", "fourier_hmc": "Fourier HMC", "metropolis": "local Metropolis", "pcn": "pCN", "cluster": "clusters"}
    return names.get(registered, registered)


def read_runs(paths: Sequence[str | Path]) -> list[Run]:
    """Reads some runs, each of which gets a name of its own.

    Raises:
      RunError: one is not a run folder.
    """
    return [read_run(folder, name) for folder, name in unique_names(paths).items()]


def unique_names(paths: Sequence[str | Path]) -> dict[Path, str]:
    """Folder -> name: the last part of its path, and as many parts before it as tell it from the other folders."""
    names = {folder: _name(folder) for folder in (Path(path).resolve() for path in paths)}
    for parents in range(1, max((len(folder.parts) for folder in names), default=0)):
        found = list(names.values())
        names = {folder: name if found.count(name) == 1 else _name(folder, parents) for folder, name in names.items()}
    return names


def read_run(path: str | Path, name: str | None = None) -> Run:
    """Reads what a run has left. A file that is damaged is named among what is missing.

    ```python
    from lattice_flows.errors import UserError
    from lattice_flows.report import read_run

    try:
        print(read_run("runs/E1").missing)
    except UserError as error:
        print(error)                     # there is no run folder runs/E1
    ```

    Args:
      path: the run folder.
      name: by which it is shown; None for that of the folder.

    Raises:
      RunError: there is no such folder, or it holds no run.
    """
    path = Path(path)
    check_run_folder(path, (CONFIG, _RESULT, ENSEMBLE))
    missing: list[str] = []

    def read(file: str, how: Callable[[Path], Found], otherwise: str = "") -> Found | None:
        if not (path / file).exists():
            missing.extend([otherwise] if otherwise else [])
            return None
        try:
            return how(path / file)
        except UserError as error:
            missing.append(f"{file} is there, but damaged: {error}.")
            return None

    weights = read(WEIGHTS, _weights)
    excerpt = read(ENSEMBLE, read_excerpt, _not_sampled(path))
    result = read(_RESULT, _result, _not_measured(path) if (path / ENSEMBLE).exists() else "")
    if result is not None and excerpt is not None and _is_of_another(result, excerpt.made):
        missing.append(f"{_RESULT} was measured on another ensemble. {_not_measured(path)}")
        result = None
    if excerpt is not None and weights is not None and excerpt.made.get("flow") and not weights.made(excerpt.made):
        missing.append(f"{ENSEMBLE} is of other weights than {WEIGHTS}, so neither it nor a result is shown. {_sampling(path)}")
        excerpt = result = None
    steps = (result.training or {}).get("steps") if result is not None else None
    if steps is not None and weights is not None and weights.steps not in (None, steps):
        missing.append(f"{_RESULT} is of a training of {steps} steps, {WEIGHTS} of {weights.steps}, so it is not shown.")
        result = None
    film = read(NOISE_TO_FIELD, _film)
    if film is not None and weights is not None and not weights.made(film[1]):
        missing.append(f"{NOISE_TO_FIELD} is of other weights than {WEIGHTS}: lattice-flows animate makes it again.")
        film = None
    if (path / ENSEMBLE).exists() and any(segments_folder((path / ENSEMBLE).resolve()).glob("*.h5")):
        missing.append("Another ensemble is being drawn here, or was interrupted; this page shows the one before.")
    begun = [(folder / METRICS).exists() for folder in stage_folders(path)]
    history = [_metrics(folder / METRICS, missing) for folder, there in zip(stage_folders(path), begun, strict=True) if there]
    of_a_flow = result.flow is not None if result else excerpt is not None and excerpt.log_weight is not None
    if not any(begun) and of_a_flow:
        missing.append("No training history: the flow was trained in another folder.")
    return Run(
        name=name or _name(path.resolve()),
        path=path,
        result=result,
        history=[metrics for metrics in history if metrics["step"]],
        config=read(CONFIG, load),
        environment=read(ENVIRONMENT, read_json, "No environment.json: versions, machine and command are not known."),
        excerpt=excerpt,
        film=film and film[0],
        has_flow=any(begun) or (path / WEIGHTS).exists(),
        missing=missing,
    )


def _name(folder: Path, parents: int = 0) -> str:
    """The name of a folder, after those of so many folders above it; of a stage, that of its run."""
    run = folder.parent.parent
    if folder in stage_folders(run)[:-1]:
        return f"{_name(run, parents)}, stage {folder.name}"
    return "/".join(folder.parts[-1 - parents :])


def _not_sampled(path: Path) -> str:
    if (path / _RESULT).exists():
        return f"{ENSEMBLE} is not there any more, so nothing is drawn of it."
    goes_on = "The run is going on" if is_locked(path) else "The same command with --resume continues it"
    if segments_folder((path / ENSEMBLE).resolve()).is_dir():
        return f"The ensemble is not complete. {goes_on}."
    if (path / WEIGHTS).exists():
        return f"Not sampled: {_sampling(path)}"
    return f"No ensemble and no weights: the run has not ended. {goes_on}."


def _sampling(path: Path) -> str:
    command = shlex.join(["lattice-flows", "sample", "--run", str(path), "--out", f"{path}_ensemble"])
    return f"{command} draws an ensemble into a folder of its own."


def _not_measured(path: Path) -> str:
    command = shlex.join(["lattice-flows", "measure", str(path), "--out", str(path / _RESULT)])
    return f"Not measured: {command} does that."


def _metrics(path: Path, missing: list[str]) -> dict[str, list[float]]:
    try:
        return read_csv(path, _COLUMNS, growing=True)
    except UserError as error:
        missing.append(f"{METRICS} is there, but damaged: {error}.")
        return {name: [] for name in _COLUMNS}


def _result(path: Path) -> Result:
    """A result, of which everything that is shown has been looked at."""
    with reading(path, "measure the ensemble again"):
        result = Result.from_json(read_json(path))
        if not isinstance(result.chain, dict) or not isinstance(result.training, dict | None):
            raise ValueError("its diagnostics are not numbers with names")
        str(result), hash((result.seed, result.sampler, result.flow, _frozen(result.action)))
        return result


def _is_of_another(result: Result, made: Mapping[str, Any]) -> bool:
    """Whether a result was not measured on the ensemble that was made so."""
    measured = {"sampler": result.sampler, "seed": result.seed, "lattice_shape": list(result.lattice_shape)}
    measured |= {name: value for name, value in result.chain.items() if name in _OF_ONE_CHAIN}
    drawn = {**made, **made.get("diagnostics", {})}
    return any(name in drawn and drawn[name] != value for name, value in measured.items())


class _Weights(NamedTuple):
    """The weights in a folder: their fingerprint, and the steps of their training, where they say these."""

    fingerprint: str
    steps: int | None

    def made(self, what: Mapping[str, Any]) -> bool:
        """Whether something that says this about itself was made with these weights, as far as is known."""
        return what.get("weights", self.fingerprint) == self.fingerprint


def _weights(path: Path) -> _Weights:
    arrays, described = read_arrays(path)
    summary = described.get("summary")
    return _Weights(fingerprint(arrays), summary.get("steps") if isinstance(summary, dict) else None)


def _film(path: Path) -> tuple[Film, Mapping[str, Any]]:
    """A film, and what is said about it."""
    with reading(path, "run lattice-flows animate again"):
        arrays, described = read_arrays(path)
        labels, fields = described["labels"], arrays["fields"]
        if fields.ndim < 2 or len(labels) != len(fields) or not np.all(np.isfinite(fields)):
            raise ValueError("its frames are not finite fields with a label each")
        return Film(labels, fields), described
