"""Parallel chains: of samplers that need no flow, and of those that move the latent variable of one."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lattice_flows.actions import Action
from lattice_flows.config import ConfigError, SamplerConfig
from lattice_flows.errors import UserError
from lattice_flows.flows import Flow
from lattice_flows.importance import WeightedSampler
from lattice_flows.io.ensembles import Ensemble
from lattice_flows.io.segments import EnsembleWriter
from lattice_flows.measurement.diagnostics import tau_int_of_updates
from lattice_flows.measurement.errors import estimate, primary
from lattice_flows.measurement.observables import Measurements
from lattice_flows.measurement.series import measured
from lattice_flows.production.ensembles import attributes_of, drawn, size_of
from lattice_flows.production.proposals import accurate, check_coupling, of_flow
from lattice_flows.progress import Progress
from lattice_flows.resources import check_memory, sampler_bytes
from lattice_flows.samplers import SAMPLERS, Drawing, Sampler, Stretch

__all__ = ["baseline_run", "check_moves", "check_samples", "latent_run"]

_BATCH = 512  # of the samples that tell the integration's error
_EVERY = "every/"  # what is noted of all configurations of successive updates


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
        interrupted goes on where it stood. A shorter chain is replaced by this one. None keeps the ensemble in memory.
      device: of TensorFlow; None for its default.
      progress: where progress is shown; None for silence.

    Raises:
      ConfigError: an unknown sampler, one that needs a flow, or a setting that it does not have.
      RunError: the file cannot be written, another process is writing it, or it holds an ensemble of other settings or seed.
      NotEnough: memory or disk would not suffice.
    """
    check_samples(name, action, settings)

    def build() -> Sampler:
        return SAMPLERS.build(settings.component(name), action)

    return _chains(name, action, settings, build, {}, seed, path, device, progress or Progress(quiet=True))


def latent_run(
    name: str,
    flow: Flow,
    action: Action,
    settings: SamplerConfig,
    *,
    seed: int = 1,
    path: Path | None = None,
    progress: Progress | None = None,
) -> Ensemble:
    """Runs a registered sampler that moves the latent variable of a trained flow in parallel chains, such as `flow_hmc`.

    Successive configurations are not independent proposals, so the ensemble has no importance weights, and its result no log Z and
    no effective sample size. What is measured and stored is as for `baseline_run`.

    Args:
      name: of the sampler.
      flow: trained.
      action: to sample.
      settings: of the sampler.
      seed, path, progress: as for `baseline_run`.

    Raises:
      ConfigError: an unknown sampler, one that needs no flow, a setting that it does not have, or a flow that it cannot move.
      RunError: the file cannot be written, another process is writing it, or it holds an ensemble of other settings or seed.
      NotEnough: memory or disk would not suffice.
    """
    show = progress or Progress(quiet=True)
    check_moves(name, flow, action, settings)

    def build() -> Sampler:
        return SAMPLERS.build(settings.component(name), accurate(WeightedSampler(flow, action, _BATCH, seed), show))

    return _chains(name, action, settings, build, of_flow(flow), seed, path, flow.device, show)


def check_samples(name: str, action: Action, settings: SamplerConfig) -> None:
    """Raises `ConfigError` for a sampler that is unknown, needs a trained flow, or cannot sample this with these settings."""
    if SAMPLERS.find(name).needs_flow:
        raise ConfigError(f"the sampler {name!r} needs a trained flow: train one, then use lattice-flows sample or lf.sample")
    SAMPLERS.complete(settings.component(name), SamplerConfig.model_fields)
    SAMPLERS.build(settings.component(name), action)


def check_moves(name: str, flow: Flow, action: Action, settings: SamplerConfig) -> None:
    """Raises `ConfigError` for a sampler that is unknown, needs no flow, or cannot move this one with these settings."""
    if not SAMPLERS.find(name).needs_flow:
        raise ConfigError(f"the sampler {name!r} needs no flow: use lattice-flows baseline or lf.baseline")
    if SAMPLERS.find(name).weighted:
        raise ConfigError(
            f"the sampler {name!r} draws one chain of weighted proposals, not parallel ones: use sample_run or lf.sample"
        )
    check_coupling(flow, action)
    SAMPLERS.complete(settings.component(name), SamplerConfig.model_fields)
    SAMPLERS.build(settings.component(name), WeightedSampler(flow, action, _BATCH, seed=1))


def _chains(
    name: str,
    action: Action,
    settings: SamplerConfig,
    build: Callable[[], Sampler],
    beside: Mapping[str, Any],
    seed: int,
    path: Path | None,
    device: str | None,
    progress: Progress,
) -> Ensemble:
    """The ensemble of parallel chains.

    Args:
      name, action, settings, seed, path, device, progress: as for `baseline_run`.
      build: makes the sampler.
      beside: attributes that determine the ensemble too.
    """
    thinning = settings.thinning
    updates = settings.updates - settings.updates % thinning
    successive = min(settings.successive - settings.successive % thinning, updates)
    stretches = [Stretch(successive), Stretch(updates - successive, thinning)]

    def draw(writer: EnsembleWriter) -> dict[str, Any]:
        thermalisation, sampler = settings.thermalisation, build()
        drawing = Drawing(sampler, stretches, thermalisation=thermalisation, seed=seed, device=device, saved=writer.state)
        with progress.working(f"compiling {name}"):
            drawing.begin()
        with progress.bar(name, thermalisation + updates, before := drawing.updates) as bar, _abandoned_if_hopeless(writer):
            for chunk in drawing.chunks():
                data, found, notes = chunk.data, measured(chunk.rows, action), _prefixed("info/", sampler.series(chunk.info))
                number = len(chunk.info.accepted)
                if successive and drawing.made <= successive:
                    notes |= _prefixed(_EVERY, {key: values for key, values in found.items() if values.ndim == 2})
                    kept = slice((number - drawing.made - 1) % thinning, None, thinning)
                    data, found = data | {"phi": data["phi"][kept]}, {key: values[kept] for key, values in found.items()}
                writer.append(data, found, notes, drawing.saved)
                bar.advance(drawing.updates - before, drawing.status)
                before = drawing.updates
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

    attributes = {**attributes_of(name, action, settings, seed), **beside}
    what, advice = f"{name} with {settings.chains} chains of {updates} updates", "use fewer chains or updates, or a larger thinning"
    check_memory(sampler_bytes(action.lattice.shape, settings.chains), what, advice)
    size = size_of(action, settings.chains * (updates // thinning))
    return drawn(path, attributes, updates, {}, draw, progress, (size, what, advice))


@contextlib.contextmanager
def _abandoned_if_hopeless(writer: EnsembleWriter) -> Iterator[None]:
    """Keeps nothing of a chain that cannot move: other settings are needed, which are another chain."""
    try:
        yield
    except UserError:
        writer.state = None
        raise


def _prefixed(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {prefix + name: values for name, values in arrays.items()}


def _without(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}


def _means(series: Mapping[str, np.ndarray]) -> dict[str, float]:
    found = {name: estimate(primary(values.T, "chains")) for name, values in series.items()}
    return {key: number for name, mean in found.items() for key, number in ((name, mean.value), (f"{name}_error", mean.error))}


def _tau_int(action: Action, every: Mapping[str, np.ndarray]) -> dict[str, dict[str, list[float]]]:
    return {"tau_int_of_updates": tau_int_of_updates(Measurements.of_series(action, every))} if every else {}
