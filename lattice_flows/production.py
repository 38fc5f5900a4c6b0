"""Production runs: from a flow, or from another sampler, to an ensemble, and from an ensemble to its result."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lattice_flows import __version__
from lattice_flows.actions import Action
from lattice_flows.config import ChainConfig, ConfigError, SamplerConfig
from lattice_flows.flows import Flow
from lattice_flows.importance import WeightedSampler
from lattice_flows.io.ensembles import ENSEMBLE, Ensemble, EnsembleError, check_replaceable, ensemble_file
from lattice_flows.io.files import RunError, writing
from lattice_flows.io.locks import lock_file
from lattice_flows.io.segments import EnsembleWriter, drawn_bytes, remove_segments
from lattice_flows.measurement.analysis import measure
from lattice_flows.measurement.diagnostics import tau_int_of_updates
from lattice_flows.measurement.errors import estimate, primary
from lattice_flows.measurement.observables import Measurements
from lattice_flows.measurement.result import Result
from lattice_flows.measurement.series import measured
from lattice_flows.progress import Progress
from lattice_flows.resources import chain_bytes, check_disk, check_memory, ensemble_bytes, sampler_bytes
from lattice_flows.samplers import SAMPLERS, Drawing, IndependenceMetropolis, Stretch

__all__ = ["ENSEMBLE", "baseline_run", "check_needs_no_flow", "flow_proposals", "measure_run", "sample_run"]

# Largest mean change of log weights when the step of a continuous flow is halved: far below the spread that causes rejections.
_INTEGRATION_ERROR = 1e-3
_INTEGRATION_SAMPLES = 2048
_OF_TRAINING = ("ess", "acceptance", "forward_ess")
_EVERY = "every/"  # what is noted of all configurations of successive updates


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
    flow: Flow,
    action: Action,
    settings: ChainConfig,
    *,
    seed: int = 1,
    path: Path | None = None,
    training: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Ensemble:
    """Runs the independence Metropolis chain of a trained flow.

    The ensemble holds all proposals with their log weights and with what is measured on them, and which of them the chain holds
    after each update, so that log Z, the effective sample size and reweighted estimates follow from it too.

    Args:
      flow: trained.
      action: to sample.
      settings: length, thermalisation and batch size.
      seed: master seed.
      path: a file to write. An existing file made with the same weights, settings and seed is kept, and a chain of these that was
        interrupted goes on where it stood. None keeps the ensemble in memory.
      training: what the training says about the flow, "ess", "acceptance" and "forward_ess", with which the chain is compared.
      progress: where progress is shown; None for silence.

    Raises:
      RunError: the file cannot be written, another process is writing it, or there is something else than an ensemble.
      NotEnough: memory or disk would not suffice.
    """
    progress = progress or Progress(quiet=True)
    attributes = _attributes("independence", action, settings.model_dump(mode="json"), seed, settings.thermalisation)
    attributes |= {"weights": flow.fingerprint(), "integration_steps": flow.integration_steps}
    known = {name: training[name] for name in _OF_TRAINING if training and training.get(name) is not None}

    def draw(writer: EnsembleWriter) -> dict[str, Any]:
        proposals = flow_proposals(flow, action, batch_size=settings.batch_size, seed=seed, progress=progress)
        sampler, stretches = IndependenceMetropolis(proposals), [Stretch(settings.length)]
        drawing = Drawing(sampler, stretches, thermalisation=settings.thermalisation, seed=seed, saved=writer.state)
        drawing.begin()
        with progress.bar("sampling", settings.length + settings.thermalisation, drawing.updates) as bar:
            for chunk in drawing.chunks():
                writer.append(chunk.data, measured(chunk.rows, action), state=drawing.saved)
                bar.advance(len(chunk.rows), drawing.status)
        return {
            "acceptance": drawing.acceptance,
            "samples_per_second": drawing.updates_per_second,
            "integration_error": proposals.integration_error,
        }

    what, advice = f"a chain of {settings.length} configurations", "use a smaller chain.length"
    check_memory(chain_bytes(settings.length) + sampler_bytes(action.lattice.shape, settings.batch_size), what, advice)
    size = _size(action, settings.thermalisation + settings.length, 2)
    return _drawn(path, attributes, settings.length, {"training": known} if known else {}, draw, progress, (size, what, advice))


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
      path: a file to write. An existing file made with the same settings and seed is kept, and a chain of these that was
        interrupted goes on where it stood, once it was thermalised. None keeps the ensemble in memory.
      device: of TensorFlow; None for its default.
      progress: where progress is shown; None for silence.

    Raises:
      ConfigError: an unknown sampler, one that needs a flow, or a setting that it does not have.
      RunError: the file cannot be written, or another process is writing it.
      NotEnough: memory or disk would not suffice.
    """
    progress, thinning = progress or Progress(quiet=True), settings.thinning
    check_needs_no_flow(name)
    sampler = SAMPLERS.build(settings.component(name), action)
    updates = settings.updates - settings.updates % thinning
    successive = min(settings.successive - settings.successive % thinning, updates)
    stretches = [Stretch(successive), Stretch(updates - successive, thinning)]

    def draw(writer: EnsembleWriter) -> dict[str, Any]:
        thermalisation = settings.thermalisation
        drawing = Drawing(sampler, stretches, thermalisation=thermalisation, seed=seed, device=device, saved=writer.state)
        left = max(thermalisation - drawing.updates, 0)
        with progress.working(f"compiling {name}, thermalising {settings.chains} chains with {left} updates"):
            drawing.begin()
        with progress.bar(name, updates, drawing.made) as bar:
            for chunk in drawing.chunks():
                data, found, notes = chunk.data, measured(chunk.rows, action), _prefixed("info/", sampler.series(chunk.info))
                number = len(chunk.info.accepted)
                if drawing.made <= successive:
                    notes |= _prefixed(_EVERY, {key: values for key, values in found.items() if values.ndim == 2})
                    kept = slice((number - drawing.made - 1) % thinning, None, thinning)
                    data, found = data | {"phi": data["phi"][kept]}, {key: values[kept] for key, values in found.items()}
                writer.append(data, found, notes, drawing.saved)
                bar.advance(number, drawing.status)
        notes = writer.notes()
        return {
            "chains": settings.chains,
            "updates": updates,
            "thinning": thinning,
            "acceptance": drawing.acceptance,
            **drawing.diagnostics,
            **_means(_without("info/", notes)),
            **_tau_int(action, _without(_EVERY, notes)),
            "updates_per_second": settings.chains * drawing.updates_per_second,
        }

    attributes = _attributes(name, action, settings.model_dump(mode="json"), seed, settings.thermalisation)
    what, advice = f"{name} with {settings.chains} chains of {updates} updates", "use fewer chains or updates, or a larger thinning"
    check_memory(sampler_bytes(action.lattice.shape, settings.chains), what, advice)
    size = _size(action, settings.chains * (updates // thinning))
    return _drawn(path, attributes, updates, {}, draw, progress, (size, what, advice))


def check_needs_no_flow(name: str) -> None:
    """Raises `ConfigError` for a sampler that is unknown, or needs a trained flow."""
    if SAMPLERS.find(name).needs_flow:
        raise ConfigError(f"the sampler {name!r} needs a trained flow: train one, then use scripts/sample.py or lf.sample")


def measure_run(source: Path | str | Ensemble, action: Action | None = None, progress: Progress | None = None) -> Result:
    """Measures an ensemble.

    Args:
      source: the ensemble, its file, or the run folder that holds it.
      action: what it was drawn with; built from the ensemble's attributes if it is not given.
      progress: where progress is shown; None for silence.

    Raises:
      RunError: there is no ensemble.
      EnsembleError: its file is damaged or foreign, or was written by another version.
    """
    if not isinstance(source, Ensemble):
        path = ensemble_file(source)
        if not path.exists():
            raise RunError(f"there is no ensemble at {path}: give an ensemble file, or a run folder that holds {ENSEMBLE}")
        with Ensemble(path) as opened:
            return measure_run(opened, action, progress)
    source.verify()
    with (progress or Progress(quiet=True)).working("measuring"):
        return measure(source, action)


def _prefixed(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {prefix + name: values for name, values in arrays.items()}


def _without(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}


def _means(series: Mapping[str, np.ndarray]) -> dict[str, float]:
    found = {name: estimate(primary(values.T, "chains")) for name, values in series.items()}
    return {key: number for name, mean in found.items() for key, number in ((name, mean.value), (f"{name}_error", mean.error))}


def _tau_int(action: Action, every: Mapping[str, np.ndarray]) -> dict[str, dict[str, list[float]]]:
    return {"tau_int_of_updates": tau_int_of_updates(Measurements.of_series(action, every))} if every else {}


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


def _drawn(
    path: Path | None,
    attributes: Mapping[str, Any],
    updates: int,
    beside: Mapping[str, Any],
    draw: Callable[[EnsembleWriter], Mapping[str, Any]],
    progress: Progress,
    needed: tuple[float, str, str],
) -> Ensemble:
    """The ensemble with these attributes, drawn unless it is there already.

    Args:
      path: its file, or None.
      attributes: that determine it.
      updates: of the whole chain after thermalisation.
      beside: further attributes.
      draw: fills a writer, and returns the diagnostics of the chain.
      progress: where progress is shown.
      needed: the size of the ensemble in bytes, what it is, and what to change if that is too large.
    """
    size, what, advice = needed
    if path is None:
        check_memory(size, f"{what}, kept in memory,", advice)
        with EnsembleWriter(None, attributes) as writer:
            writer.describe({"diagnostics": draw(writer), **beside})
        return writer.ensemble
    check_replaceable(path)
    with lock_file(path):
        if not (earlier := _made_before(path, attributes, progress)):
            # In segments, and at the end in one file, before these are removed.
            check_disk(2 * size - drawn_bytes(path), path.parent, what, advice)
            end = attributes["thermalisation"] + updates
            # Opened before anything is drawn: whatever cannot be written fails at once.
            with writing(path), EnsembleWriter(path, attributes, progress.info, end) as writer:
                writer.describe({"diagnostics": draw(writer), **beside})
        else:
            remove_segments(path)
    ensemble = earlier or Ensemble(path)
    ensemble.attributes |= beside
    return ensemble


def _size(action: Action, configurations: int, beside: int = 0) -> float:
    """Bytes of an ensemble with so many configurations, and numbers beside what is measured on each."""
    shape = action.lattice.shape
    numbers = sum(values[0].size for values in measured(np.zeros((1, *shape)), action).values())
    return ensemble_bytes(configurations, shape, numbers + beside)


def _made_before(path: Path, attributes: Mapping[str, Any], progress: Progress) -> Ensemble | None:
    if not path.exists():
        return None
    try:
        earlier = Ensemble(path)
        if earlier.was_made_as(attributes):
            earlier.verify()
            progress.info(f"{path.name} is up to date: it was made with the same weights, settings and seed")
            return earlier
        progress.info(f"{path.name} was made with other weights, settings or another seed: drawing it again")
        earlier.close()
    except EnsembleError as error:
        progress.info(f"drawing the ensemble again: {error}")
    return None
