"""The chain of proposals of a flow that are independent of each other."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from lattice_flows.actions import Action
from lattice_flows.config import ChainConfig, ConfigError
from lattice_flows.flows import Flow
from lattice_flows.importance import INTEGRATION_TOLERANCE, WeightedSampler
from lattice_flows.io.ensembles import Ensemble
from lattice_flows.io.segments import EnsembleWriter
from lattice_flows.measurement.series import measured
from lattice_flows.production.ensembles import attributes_of, drawn, size_of
from lattice_flows.progress import Progress
from lattice_flows.resources import chain_bytes, check_memory, drawn_at_once, sampler_bytes
from lattice_flows.samplers import SAMPLERS, Drawing, IndependenceMetropolis, Stretch, check_weighted

__all__ = ["accurate", "check_proposes", "flow_proposals", "of_flow", "sample_run"]

_INTEGRATION_SAMPLES, _INTEGRATION_SITES = 2048, 2**20
_OF_TRAINING = ("ess", "acceptance", "forward_ess")


def flow_proposals(
    flow: Flow, action: Action, *, batch_size: int = 512, seed: int = 1, progress: Progress | None = None
) -> WeightedSampler:
    """The sampler of a production run.

    A continuous flow is integrated in more steps until log weights change by less than 1e-3 on average when there are twice as
    many, or that no longer helps.
    """
    progress = progress or Progress(quiet=True)
    sampler = WeightedSampler(flow, action, batch_size, seed)
    sampler = accurate(sampler, progress)
    with progress.working("compiling the sampler"):
        next(sampler.batches(1, "compilation"))
    return sampler


def accurate(sampler: WeightedSampler, progress: Progress) -> WeightedSampler:
    """The sampler, integrated in as many steps as a production run needs; nothing is drawn from an exact flow."""
    if sampler.flow.exact:
        return sampler
    with progress.working("comparing with half the step of the integration"):
        samples = min(_INTEGRATION_SAMPLES, max(_INTEGRATION_SITES // sampler.flow.lattice.volume, sampler.batch_size))
        return sampler.integrated(INTEGRATION_TOLERANCE, samples, progress.info)


def check_proposes(flow: Flow, action: Action, settings: ChainConfig) -> None:
    """Raises `ConfigError` for a sampler that is unknown, draws no independent proposals, or cannot draw from this flow."""
    check_weighted(settings.sampler.name)
    check_coupling(flow, action)
    SAMPLERS.complete(settings.sampler, ChainConfig.model_fields)
    SAMPLERS.build(settings.sampler, WeightedSampler(flow, action, settings.batch_size, seed=1))


def check_coupling(flow: Flow, action: Action) -> None:
    """Raises `ConfigError` for a flow for many couplings that stands at another one than that of the action."""
    if flow.condition is None:
        return
    try:
        action.check_parameter(flow.condition)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    here, wanted = (float(tf.convert_to_tensor(each)) for each in (flow.coupling, action.parameters[flow.condition]))
    if not math.isclose(here, wanted, rel_tol=1e-6, abs_tol=1e-9):
        raise ConfigError(
            f"the flow stands at {flow.condition} = {here:g}, the action has {wanted:g}, so that few proposals would be accepted: "
            f"give flow.at({wanted:g})"
        )


def of_flow(flow: Flow) -> dict[str, Any]:
    """What an ensemble says about the flow that it was drawn with."""
    component = flow.component and flow.component.model_dump(mode="json")
    return {"flow": component, "weights": flow.fingerprint(), "integration_steps": flow.integration_steps}


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
    """Runs a chain of independent proposals of a trained flow: those of the flow itself, or annealed ones.

    The ensemble holds all proposals with their log weights and with what is measured on them, and which of them the chain holds
    after each update, so that log Z, the effective sample size and reweighted estimates follow from it too.

    Args:
      flow: trained.
      action: to sample.
      settings: length, thermalisation, batch size, and the sampler.
      seed: master seed.
      path: a file to write. An existing file made with the same weights, settings and seed is kept, and a chain of these that was
        interrupted goes on where it stood. One of other weights, or a shorter one, is replaced. None keeps the ensemble in memory.
      training: what the training says about the flow, "ess", "acceptance" and "forward_ess", with which a chain of
        its own proposals is compared.
      progress: where progress is shown; None for silence.

    Raises:
      ConfigError: as for `check_proposes`.
      RunError: the file cannot be written, another process is writing it, or there is something else than an ensemble, or one of
        other settings or another seed.
      NotEnough: memory or disk would not suffice.
    """
    progress = progress or Progress(quiet=True)
    check_proposes(flow, action, settings)
    name = settings.sampler.name
    attributes = attributes_of(name, action, settings, seed) | of_flow(flow)
    # Annealed weights are narrower than those that the training knows.
    compared = training if training and name == IndependenceMetropolis.name else {}
    known = {name: compared[name] for name in _OF_TRAINING if compared.get(name) is not None}

    def draw(writer: EnsembleWriter) -> dict[str, Any]:
        sampler = SAMPLERS.build(settings.sampler, accurate(WeightedSampler(flow, action, settings.batch_size, seed), progress))
        stretches = [Stretch(settings.length)]
        drawing = Drawing(sampler, stretches, thermalisation=settings.thermalisation, seed=seed, saved=writer.state)
        with progress.working("compiling the sampler"):
            drawing.begin()
        with progress.bar("sampling", settings.length + settings.thermalisation, drawing.updates) as bar:
            for chunk in drawing.chunks():
                writer.append(chunk.data, measured(chunk.rows, action), state=drawing.saved)
                bar.advance(len(chunk.rows), drawing.status)
        found = {"acceptance": drawing.acceptance, "samples_per_second": drawing.updates_per_second}
        return found | drawing.diagnostics

    what, advice = f"a chain of {settings.length} configurations", "use a smaller chain.length"
    shape = action.lattice.shape
    needed = chain_bytes(settings.length) + sampler_bytes(shape, drawn_at_once(settings.batch_size, shape))
    check_memory(needed, what, advice)
    size = size_of(action, settings.thermalisation + settings.length, 2)
    return drawn(path, attributes, settings.length, {"training": known} if known else {}, draw, progress, (size, what, advice))
