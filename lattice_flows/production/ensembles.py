"""Ensembles that are drawn once: into a file that knows how it was made, or into memory."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lattice_flows import __version__
from lattice_flows.actions import Action
from lattice_flows.io.ensembles import Ensemble, EnsembleError, check_replaceable
from lattice_flows.io.files import writing
from lattice_flows.io.locks import lock_file
from lattice_flows.io.segments import EnsembleWriter, drawn_bytes, remove_segments
from lattice_flows.measurement.series import measured
from lattice_flows.progress import Progress
from lattice_flows.resources import check_disk, check_memory, ensemble_bytes

__all__ = ["attributes_of", "drawn", "size_of"]


def attributes_of(sampler: str, action: Action, settings: Mapping[str, Any], seed: int, thermalisation: int) -> dict[str, Any]:
    return {
        "sampler": sampler,
        "settings": settings,
        "lattice_shape": action.lattice.shape,
        "action": action.component,
        "seed": seed,
        "thermalisation": thermalisation,
        "lattice_flows": __version__,
    }


def drawn(
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


def size_of(action: Action, configurations: int, beside: int = 0) -> float:
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
