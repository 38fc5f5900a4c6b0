"""Production runs: from a flow, or from another sampler, to an ensemble, and from an ensemble to its result."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from lattice_flows import __version__
from lattice_flows.actions import Action
from lattice_flows.config import ChainConfig, ConfigError, SamplerConfig
from lattice_flows.flows import Flow
from lattice_flows.importance import WeightedSampler
from lattice_flows.io.ensembles import Ensemble, EnsembleError, EnsembleWriter
from lattice_flows.io.files import RunError, writing
from lattice_flows.measurement.analysis import measure
from lattice_flows.measurement.diagnostics import tau_int_of_updates
from lattice_flows.measurement.errors import estimate, primary
from lattice_flows.measurement.observables import Measurements
from lattice_flows.measurement.result import LARGEST_PULL, Result
from lattice_flows.measurement.series import measured
from lattice_flows.progress import Progress
from lattice_flows.samplers import SAMPLERS, ChainState, Chunk, IndependenceMetropolis, Sampler, run_chain

__all__ = ["ENSEMBLE", "baseline_run", "failed_checks", "flow_proposals", "measure_run", "sample_run"]

ENSEMBLE = "ensemble.h5"
# Largest mean change of log weights when the step of a continuous flow is halved: far below the spread that causes rejections.
_INTEGRATION_ERROR = 1e-3
_INTEGRATION_SAMPLES = 2048


def flow_proposals(
    flow: Flow, action: Action, *, batch_size: int = 512, seed: int = 1, progress: Progress | None = None
) -> WeightedSampler:
    """The sampler of a production run.

    The step of a continuous flow is halved until log weights change by less than 1e-3 on average.
    """
    progress = progress or Progress(quiet=True)
    sampler = WeightedSampler(flow, action, batch_size, seed)
    with progress.working("compiling the sampler"):
        sampler = sampler.integrated(_INTEGRATION_ERROR, _INTEGRATION_SAMPLES, progress.info)
        next(sampler.batches(1, "compilation"))
    return sampler


def sample_run(
    flow: Flow, action: Action, settings: ChainConfig, *, seed: int = 1, path: Path | None = None, progress: Progress | None = None
) -> Ensemble:
    """Runs the independence Metropolis chain of a trained flow.

    The ensemble holds all proposals with their log weights and with what is measured on them, and which of them the chain holds
    after each update, so that log Z, the effective sample size and reweighted estimates follow from it too.

    Args:
      flow: trained.
      action: to sample.
      settings: length, thermalisation and batch size.
      seed: master seed.
      path: a file to write. An existing file made with the same weights, settings and seed is kept. None keeps the ensemble in
        memory.
      progress: where progress is shown; None for silence.

    Raises:
      RunError: the file cannot be written.
    """
    progress = progress or Progress(quiet=True)
    attributes = _attributes("independence", action, settings.model_dump(mode="json"), seed, settings.thermalisation)
    attributes |= {"weights": flow.fingerprint(), "integration_steps": flow.integration_steps}
    if path is not None and (earlier := _made_before(path, attributes, progress)):
        return earlier
    with _recording(path, attributes) as writer:
        proposals = flow_proposals(flow, action, batch_size=settings.batch_size, seed=seed, progress=progress)
        run = _Run(IndependenceMetropolis(proposals), seed, None)
        run.begin(settings.length, 1, settings.thermalisation)
        with progress.bar("sampling", settings.length + settings.thermalisation) as bar:
            for chunk in run.chunks():
                writer.append(chunk.data, measured(chunk.rows, action))
                bar.advance(len(chunk.rows), run.status)
        diagnostics = {"acceptance": run.acceptance, "samples_per_second": run.updates_per_second}
        writer.describe({"diagnostics": diagnostics | {"integration_error": proposals.integration_error}})
    return writer.ensemble if path is None else Ensemble(path)


def baseline_run(
    name: str,
    action: Action,
    settings: SamplerConfig,
    *,
    seed: int = 1,
    path: Path | None = None,
    device: str | None = None,
    progress: Progress | None = None,
) -> Ensemble:
    """Runs a registered sampler that needs no flow, such as HMC.

    During the first `successive` updates every configuration is measured, for autocorrelation times in updates. Throughout the run,
    one configuration is stored after every `thinning` updates.

    Args:
      name: of the sampler.
      action: to sample.
      settings: of the sampler.
      seed: master seed.
      path: a file to write; None keeps the ensemble in memory.
      device: of TensorFlow; None for its default.
      progress: where progress is shown; None for silence.

    Raises:
      ConfigError: an unknown sampler, one that needs a flow, or a setting that it does not have.
      RunError: the file cannot be written.
    """
    progress, thinning = progress or Progress(quiet=True), settings.thinning
    if SAMPLERS.find(name).needs_flow:
        raise ConfigError(f"the sampler {name!r} needs a trained flow: train one, then use scripts/sample.py or lf.sample")
    run = _Run(SAMPLERS.build(settings.component(name), action), seed, device)
    updates = settings.updates - settings.updates % thinning
    successive = min(settings.successive - settings.successive % thinning, updates)
    attributes = _attributes(name, action, settings.model_dump(mode="json"), seed, settings.thermalisation)
    every, series = [], []
    with _recording(path, attributes) as writer:
        with progress.working(f"compiling {name}, thermalising {settings.chains} chains with {settings.thermalisation} updates"):
            run.begin(updates, thinning, settings.thermalisation, successive)
        with progress.bar(name, updates) as bar:
            done = 0
            for chunk in run.chunks():
                found = measured(chunk.rows, action)
                data = chunk.data
                if done < successive:
                    every.append({name: values for name, values in found.items() if values.ndim == 2})
                    kept = slice((-done - 1) % thinning, None, thinning)
                    found = {name: values[kept] for name, values in found.items()}
                    data["phi"] = data["phi"][kept]
                writer.append(data, found)
                series.append(run.sampler.series(chunk.info))
                done += len(chunk.info.accepted)
                bar.advance(len(chunk.info.accepted), run.status)
        diagnostics = {
            "chains": settings.chains,
            "updates": updates,
            "thinning": thinning,
            "acceptance": run.acceptance,
            **run.sampler.diagnostics(run.state.sampler),
            **_means(series),
            **_tau_int(action, every),
            "updates_per_second": settings.chains * run.updates_per_second,
        }
        writer.describe({"diagnostics": diagnostics})
    return writer.ensemble if path is None else Ensemble(path)


def measure_run(source: Path | str | Ensemble, action: Action | None = None, progress: Progress | None = None) -> Result:
    """Measures an ensemble.

    Args:
      source: the ensemble, its file, or the run folder that holds it.
      action: what it was drawn with; built from the ensemble's attributes if it is not given.
      progress: where progress is shown; None for silence.

    Raises:
      RunError: there is no ensemble, or it cannot be read.
      EnsembleError: its file was written by another version.
    """
    if not isinstance(source, Ensemble):
        path = Path(source)
        path = path / ENSEMBLE if path.is_dir() else path
        if not path.exists():
            raise RunError(f"there is no ensemble at {path}: give an ensemble file, or a run folder that holds {ENSEMBLE}")
        try:
            opened = Ensemble(path)
        except OSError as error:
            raise RunError(f"cannot read the ensemble {path}: {error}") from error
        with opened:
            return measure_run(opened, action, progress)
    with (progress or Progress(quiet=True)).working("measuring"):
        return measure(source, action)


def failed_checks(result: Result) -> list[str]:
    """Lists the exact means, such as that of exp(-dH), that the run misses by more than four standard errors."""
    failed = []
    for name, exact in SAMPLERS.find(result.sampler).exact.items():
        value, error = result.chain[name], result.chain[f"{name}_error"]
        if not abs(value - exact) <= LARGEST_PULL * error:
            failed.append(f"the mean of {name} is {value:.6g} with an error of {error:.2g}, not {exact:g}")
    return failed


class _Run:
    """A chain in progress. The next chunk is drawn while the one before is measured and written."""

    def __init__(self, sampler: Sampler, seed: int, device: str | None):
        self.sampler, self.state, self.status = sampler, ChainState(None, 0), ""
        self._seed, self._device, self._worker = seed, device, ThreadPoolExecutor(1)
        self._accepted: list[tuple[float, int]] = []

    def begin(self, updates: int, thinning: int, thermalisation: int, successive: int = 0) -> None:
        """Makes the first chunk, with all compilation. Of the first `successive` updates every configuration is kept."""
        self._start = time.perf_counter()
        self._drawn = self._draw(updates, thinning, thermalisation, successive)
        self._coming = self._worker.submit(next, self._drawn, None)
        self._coming.result()

    def chunks(self) -> Iterator[Chunk]:
        """Yields the chunks. `state` and `status` are those of the last one; at the end there is `updates_per_second`."""
        first = compiled = updates = 0
        with self._worker:
            while (chunk := self._coming.result()) is not None:
                self._coming = self._worker.submit(next, self._drawn, None)
                number = len(chunk.info.accepted)
                share = float(np.mean(chunk.info.accepted)) if number else 0.0
                self._accepted.append((share, number))
                self.state, self.status = chunk.state, f"acceptance {share:.3f}"
                updates = chunk.state.updates
                if not compiled:
                    first, compiled = updates, time.perf_counter()
                yield chunk
        now = time.perf_counter()
        # The first chunk is left out if there are others: its time includes compilation and thermalisation.
        self.updates_per_second = (updates - first) / (now - compiled) if updates > first else updates / (now - self._start)

    def _draw(self, updates: int, thinning: int, thermalisation: int, successive: int) -> Iterator[Chunk]:
        state: ChainState | None = None
        with tf.device(self._device) if self._device else contextlib.nullcontext():
            if successive:
                for chunk in run_chain(self.sampler, updates=successive, thermalisation=thermalisation, seed=self._seed):
                    state = chunk.state
                    yield chunk
            if updates > successive:
                rest = {"updates": updates - successive, "thinning": thinning, "state": state, "seed": self._seed}
                yield from run_chain(self.sampler, **rest, thermalisation=0 if successive else thermalisation)

    @property
    def acceptance(self) -> float:
        shares, updates = zip(*self._accepted, strict=True)
        return float(np.average(shares, weights=updates))


def _means(series: list[Mapping[str, np.ndarray]]) -> dict[str, float]:
    found = {name: estimate(primary(np.concatenate([part[name] for part in series]).T, "chains")) for name in series[0]}
    return {key: number for name, mean in found.items() for key, number in ((name, mean.value), (f"{name}_error", mean.error))}


def _tau_int(action: Action, every: list[Mapping[str, np.ndarray]]) -> dict[str, dict[str, list[float]]]:
    if not every:
        return {}
    series = {name: np.concatenate([part[name] for part in every]) for name in every[0]}
    return {"tau_int_of_updates": tau_int_of_updates(Measurements(action, series))}


def _attributes(sampler: str, action: Action, settings: Mapping[str, Any], seed: int, thermalisation: int) -> dict[str, Any]:
    return {
        "sampler": sampler,
        "settings": settings,
        "lattice_shape": action.lattice.shape,
        "action": action.component,
        "seed": seed,
        "thermalisation": thermalisation,
        "lattice_flows": __version__,
    }


def _made_before(path: Path, attributes: Mapping[str, Any], progress: Progress) -> Ensemble | None:
    if not path.exists():
        return None
    try:
        earlier = Ensemble(path)
    except (EnsembleError, OSError) as error:
        progress.info(f"drawing the ensemble again: {error}")
        return None
    if earlier.was_made_as(attributes):
        progress.info(f"{path.name} is up to date: it was made with the same weights, settings and seed")
        return earlier
    earlier.close()
    return None


@contextlib.contextmanager
def _recording(path: Path | None, attributes: Mapping[str, Any]) -> Iterator[EnsembleWriter]:
    """An ensemble being written, opened before anything is drawn: whatever cannot be written fails at once."""
    with writing(path) if path else contextlib.nullcontext(), EnsembleWriter(path, attributes) as writer:
        yield writer
