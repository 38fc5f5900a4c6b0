"""What a report shows of an ensemble."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lattice_flows.io.ensembles import Ensemble
from lattice_flows.reading import reading

__all__ = ["OF_A_FLOW", "Excerpt", "read_excerpt"]

OF_A_FLOW = "independence"  # the sampler whose proposals are those of a flow itself
_PROPOSALS = 1500  # that are drawn as points
_FIELDS, _SUCCESSIVE = 4, 5


class Excerpt(NamedTuple):
    """What is shown of an ensemble.

    Attributes:
      fields: title -> configuration, from all of the first chain.
      successive: the same, the first ones of that chain.
      made: how the ensemble was made, its attributes.
      log_weight: of all proposals of a flow; None for other samplers.
      action: of some of the proposals, `[n]`; None where it was not measured.
      log_q: of the same; None for annealed proposals.
    """

    fields: Mapping[str, np.ndarray]
    successive: Mapping[str, np.ndarray]
    made: Mapping[str, Any]
    log_weight: np.ndarray | None = None
    action: np.ndarray | None = None
    log_q: np.ndarray | None = None


def read_excerpt(path: Path) -> Excerpt:
    """Reads a few configurations of the chain, and of the proposals of a flow their weights and actions.

    Raises:
      EnsembleError, UnreadableFile: the ensemble is damaged or empty.
    """
    with Ensemble(path) as ensemble, reading(path, "draw the ensemble again"):
        if not len(ensemble):
            raise ValueError("the ensemble is empty")
        length, index, log_weight = len(ensemble), ensemble.index, ensemble.log_weight
        thinning = ensemble.attributes.get("settings", {}).get("thinning", 1) if index is None else 1

        def fields(updates: np.ndarray) -> dict[str, np.ndarray]:
            rows = updates if index is None else index[updates]
            found = [ensemble.rows(row, row + 1)[0] for row in rows]
            found = [chains[0] for chains in found] if index is None else found
            return {f"update {(n + 1) * thinning}": phi for n, phi in zip(updates, found, strict=True)}

        at = np.unique(np.linspace(0, length - 1, _FIELDS + 1).astype(int)[1:])
        shown = fields(at), fields(np.arange(min(_SUCCESSIVE, length))), ensemble.attributes
        if log_weight is None:
            return Excerpt(*shown)
        first = ensemble.attributes.get("thermalisation", 0)
        log_weight = log_weight[first:]
        if "action_density" not in ensemble.series_names:
            return Excerpt(*shown, log_weight)
        density = ensemble.series_rows(first, ensemble.stored, ["action_density"])["action_density"]
        every = slice(None, None, max(len(density) // _PROPOSALS, 1))
        action = density[every] * float(np.prod(ensemble.attributes["lattice_shape"]))
        # The weights of annealed proposals are those of a path, not of log q.
        log_q = -action - log_weight[every] if ensemble.attributes["sampler"] == OF_A_FLOW else None
        return Excerpt(*shown, log_weight, action, log_q)
