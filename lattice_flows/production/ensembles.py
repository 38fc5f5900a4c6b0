"""Ensembles that are drawn once: into a file that knows how it was made, or into memory."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from lattice_flows import __version__
from lattice_flows.actions import Action
from lattice_flows.config import ChainConfig, SamplerConfig
from lattice_flows.io.ensembles import LAYOUT, TEST_FIELD, Ensemble, EnsembleError, attributes_left, check_replaceable, differing
from lattice_flows.io.files import RunError, writing
from lattice_flows.io.locks import lock_file
from lattice_flows.io.segment_files import drawn_bytes, remove_segments
from lattice_flows.io.segments import EnsembleWriter
from lattice_flows.measurement.series import measured
from lattice_flows.progress import Progress
from lattice_flows.reading import check_damaged
from lattice_flows.resources import check_disk, check_memory, ensemble_bytes
from lattice_flows.samplers import SAMPLERS

__all__ = ["attributes_of", "check_continues", "drawn", "settings_of", "size_of"]

_LONGER = ("settings.length", "settings.updates")
_CHOSEN = ("sampler", "seed", "thermalisation", "lattice_shape", "action", TEST_FIELD)


def attributes_of(sampler: str, action: Action, settings: ChainConfig | SamplerConfig, seed: int) -> dict[str, Any]:
    """What an ensemble says about how it was drawn; see `of_flow` for the rest, where a flow was needed."""
    return {
        "sampler": sampler,
        "settings": settings_of(sampler, settings),
        "lattice_shape": action.lattice.shape,
        "action": action.component,
        TEST_FIELD: _of_test_field(action),
        "seed": seed,
        "thermalisation": settings.thermalisation,
        "lattice_flows": __version__,
    }


def _of_test_field(action: Action) -> float:
    """S of a field that is always the same. Another value shows what parameters do not tell: the code of the action has changed."""
    phi = np.random.default_rng(0).normal(size=(1, *action.lattice.shape))
    return float(action(tf.constant(phi))[0])


def settings_of(sampler: str, settings: ChainConfig | SamplerConfig) -> dict[str, Any]:
    """All settings of a chain: one that was begun with others is another chain.

    Defaults of samplers that use a flow are written out; files of others have never had them.
    """
    if isinstance(settings, ChainConfig):
        return settings.model_dump(mode="json", exclude={"sampler"}) | SAMPLERS.complete(settings.sampler, ChainConfig.model_fields)
    own = SAMPLERS.complete(settings.component(sampler), SamplerConfig.model_fields) if SAMPLERS.find(sampler).needs_flow else {}
    return settings.model_dump(mode="json") | own


def check_continues(path: Path, sampler: str, settings: ChainConfig | SamplerConfig) -> None:
    """Checks before a run is continued that its finished ensemble, if there is one, need not be replaced by another chain.

    Raises:
      RunError: it was drawn by another sampler or with other settings.
    """
    if not path.exists():
        return
    wanted = {"sampler": sampler, "settings": settings_of(sampler, settings), "thermalisation": settings.thermalisation}
    try:
        with Ensemble(path) as earlier:
            _check_lost(path, earlier.attributes, wanted)
    except EnsembleError as error:
        _check_worthless(path, error, wanted)


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
    path = path and Path(os.path.realpath(path))  # a symbolic link stays one
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
            remove_segments(path, attributes)
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
        other = differing(earlier.attributes, attributes)
        if not other:
            earlier.verify()
            progress.info(f"{path.name} is up to date: it was made with the same weights, settings and seed")
            return earlier
        earlier.close()
        _check_lost(path, earlier.attributes, attributes)
        progress.info(f"{path.name} was made with other values of {', '.join(other)}: drawing it again")
    except EnsembleError as error:
        _check_worthless(path, error, attributes)
        progress.info(f"drawing the ensemble again: {error}")
    return None


def _check_worthless(path: Path, error: EnsembleError, wanted: Mapping[str, Any]) -> None:
    """Raises an error unless a file that cannot be read is damaged or of an earlier version, and was to be what is wanted."""
    check_damaged(error, path)
    found = attributes_left(path)
    if found.get("layout", 1) > LAYOUT:
        raise RunError(f"{error}: it is not replaced")
    if "sampler" in found:
        _check_lost(path, found, wanted)


def _check_lost(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    if lost := [name for name in differing(found, wanted) if _would_be_lost(name, found, wanted)]:
        raise RunError(
            f"{path} holds an ensemble that was drawn with other values of {', '.join(lost)}: use the same ones, choose "
            "another name, or remove it"
        )


def _would_be_lost(name: str, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a name of `differing` is something that was chosen otherwise: not a later training or version, nor a longer chain."""
    section, _, key = name.partition(".")
    if section != "settings":
        return name in found and name in _CHOSEN
    before, now = (each.get("settings", {}) for each in (found, wanted))
    # A setting that the file does not have is of a later version, or a default that is written out.
    return now.get(key, 0) < before[key] if name in _LONGER and key in before else key in before
