"""Whether an ensemble holds what is measured: data sets and attributes that fit each other and the action."""

from typing import Any

from lattice_flows.actions import Action
from lattice_flows.io.ensembles import Ensemble, EnsembleError
from lattice_flows.measurement.series import measured
from lattice_flows.samplers import SAMPLERS

__all__ = ["check_attributes", "check_stored"]

_NEEDED = ("sampler", "lattice_shape", "action", "seed")


def check_attributes(ensemble: Ensemble) -> None:
    """Raises `EnsembleError` if the ensemble does not say how it was made."""
    missing = [name for name in _NEEDED if name not in ensemble.attributes]
    if missing:
        raise _error(f"it does not say its {', '.join(missing)}")
    found, training = ensemble.attributes.get("diagnostics", {}), ensemble.attributes.get("training") or {}
    if not isinstance(found, dict) or not isinstance(training, dict) or not _are_numbers(found) or not _are_numbers(training):
        raise _error("its diagnostics are not numbers with names")
    integration = found.get("integration_error", {"mean": 0.0})
    if not isinstance(integration, dict) or integration.get("mean") is None:
        raise _error("its integration error is not known")
    sampler = ensemble.attributes["sampler"]
    for name in SAMPLERS[sampler].exact if sampler in SAMPLERS else ():
        if (name in found) != (f"{name}_error" in found):
            raise _error(f"its diagnostics have no {name} with an error")


def _are_numbers(tree: Any) -> bool:
    """Whether there are numbers, or None, and nothing else at the ends of a tree."""
    if isinstance(tree, dict | list):
        return all(map(_are_numbers, tree.values() if isinstance(tree, dict) else tree))
    return tree is None or isinstance(tree, float) or (type(tree) is int and abs(tree) < 2**63)


def check_stored(ensemble: Ensemble, action: Action) -> None:
    """Raises `EnsembleError` if a data set has another shape than what is measured on the lattice of the action."""
    if not ensemble.stored:
        raise _error("it is empty")
    first = ensemble.rows(0, 1)
    shape = action.lattice.shape
    if first.shape[-len(shape) :] != tuple(shape) or first.ndim != len(shape) + (1 if ensemble.index is not None else 2):
        raise _error(f"its configurations have the shape {first.shape[1:]} on the lattice {tuple(shape)}")
    for name, values in measured(first, action).items():
        if name in ensemble.series_names and ensemble.series_rows(0, 1, [name])[name].shape != values.shape:
            raise _error(f"its series {name!r} has another shape than the configurations")
    accepted = ensemble.accepted
    if ensemble.index is None:
        if accepted is not None and accepted.ndim != 2:
            raise _error("its accept decisions are not those of chains")
        return
    log_weight, thermalisation = ensemble.log_weight, ensemble.attributes.get("thermalisation")
    if log_weight is None or log_weight.ndim != 1 or log_weight.dtype.kind != "f":
        raise _error("its proposals have no log weights")
    if accepted is None or accepted.shape != ensemble.index.shape or not len(accepted):
        raise _error("it has not one accept decision for each update")
    if type(thermalisation) is not int or not 0 <= thermalisation < len(log_weight):
        raise _error(f"its thermalisation is {thermalisation!r}")


def _error(what: str) -> EnsembleError:
    return EnsembleError(f"the ensemble is damaged, {what}: draw it again (the same seed gives the same chain)")
