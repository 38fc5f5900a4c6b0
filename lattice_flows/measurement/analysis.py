"""From an ensemble to a result, for flows and for all other samplers."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyerrors as pe

from lattice_flows.actions import ACTIONS, Action
from lattice_flows.config import ConfigError
from lattice_flows.importance import BrokenFlow
from lattice_flows.io.ensembles import Ensemble, EnsembleError
from lattice_flows.lattice import Lattice
from lattice_flows.measurement import diagnostics
from lattice_flows.measurement.agreement import correlation
from lattice_flows.measurement.autocorrelation import rejection_runs
from lattice_flows.measurement.binning import Binning
from lattice_flows.measurement.errors import FEWEST_EFFECTIVE, Estimate
from lattice_flows.measurement.observables import Measurements
from lattice_flows.measurement.result import Correlation, ObservableResult, Result
from lattice_flows.measurement.series import measured, smooth_powers, spectra, zero_unless
from lattice_flows.measurement.stored import check_attributes, check_stored
from lattice_flows.measurement.trust import checks_of_chain
from lattice_flows.measurement.weight_variance import WeightVariance, weight_variance
from lattice_flows.samplers import SAMPLERS

__all__ = ["action_of", "measure", "measurements"]

# At once: configurations read, and sites measured.
_CONFIGURATIONS = 2**16
_SITES = 2**22
# Sites of all proposals whose spectra are found.
_SITES_OF_SPECTRA = 2**25


def action_of(ensemble: Ensemble) -> Action:
    """The action that an ensemble was drawn with. Raises `ConfigError` if it is not registered, or there is no such lattice."""
    try:
        lattice = Lattice(ensemble.attributes["lattice_shape"])
    except ValueError as error:
        raise ConfigError(f"the ensemble was drawn on no lattice: {error}") from None
    return ACTIONS.build(ensemble.attributes["action"], lattice)


def measurements(ensemble: Ensemble, action: Action) -> tuple[Measurements, Measurements | None]:
    """Reads the series of an ensemble in one pass, and measures those that it lacks; nothing of its length is held in memory.

    Args:
      ensemble: in memory or on disk.
      action: what it was drawn with.

    Returns:
      measurements of the chains; and those of a flow's proposals after thermalisation, with their weights, or None.

    Raises:
      BrokenFlow: no proposal has a finite weight.
      EnsembleError: the index into the proposals does not ascend.
    """
    index, log_weight = ensemble.index, ensemble.log_weight
    if index is None or log_weight is None:
        chains = Binning(len(ensemble), ensemble.rows(0, 1).shape[1])
        for _, series in _in_parts(ensemble, action, chains.shape[1]):
            chains.add(series)
        return Measurements(action, chains.finished()), None
    if (index[1:] < index[:-1]).any():
        raise EnsembleError("the index of the ensemble goes back to earlier proposals: the file is damaged, draw it again")
    first = ensemble.attributes["thermalisation"]
    kept = np.isfinite(log_weight[first:])
    if not kept.any():
        raise BrokenFlow(len(kept))
    # Relative to the largest, so that no factor overflows.
    largest = log_weight[first:][kept].max()
    chain, proposals = Binning(len(index), 1), Binning(len(log_weight) - first, 1, weighted=True)
    for start, series in _in_parts(ensemble, action):
        stop = start + len(series["magnetization"])
        # The index ascends, so successive rows are those of successive updates.
        held = index[slice(*np.searchsorted(index, (start, stop)))] - start
        chain.add({name: values[held, np.newaxis] for name, values in series.items()})
        if stop > first:
            skipped = max(first - start, 0)
            weights = log_weight[start + skipped : stop]
            finite = np.isfinite(weights)
            weights = np.exp(np.where(finite, weights - largest, -np.inf))
            fresh = {name: zero_unless(finite, values[skipped:])[:, np.newaxis] for name, values in series.items()}
            proposals.add(fresh, weights[:, np.newaxis])
    return Measurements(action, chain.finished()), Measurements(action, proposals.finished())


def _in_parts(ensemble: Ensemble, action: Action, chains: int = 1, first: int = 0) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """The series of the stored rows in order, from a row on, with the number of the first row of each part."""
    names = list(measured(ensemble.rows(0, 1), action))
    stored = [name for name in names if name in ensemble.series_names]
    rows = _CONFIGURATIONS if len(stored) == len(names) else min(_SITES // action.lattice.volume, _CONFIGURATIONS)
    rows = max(rows // chains, 1)
    for start in range(first, ensemble.stored, rows):
        found = ensemble.series_rows(start, start + rows, stored)
        if len(stored) < len(names):
            found = measured(ensemble.rows(start, start + rows), action) | found
        yield start, {name: found[name] for name in names}


def measure(ensemble: Ensemble, action: Action | None = None) -> Result:
    """Measures all observables of an ensemble, with their errors.

    Of a flow's ensemble, observables are also estimated from the weighted proposals after thermalisation, which are independent of
    each other. A proposal whose weight is not finite was rejected and has weight zero. References are the exact values that the
    action knows.

    Args:
      ensemble: in memory or on disk.
      action: what it was drawn with; it is built from the ensemble's attributes if it is not given.

    Raises:
      ConfigError: the ensemble's action is not registered and none is given, or another one is given.
      BrokenFlow: no proposal has a finite weight.
      EnsembleError: the ensemble is damaged.
    """
    check_attributes(ensemble)
    action = action or action_of(ensemble)
    _check_action(ensemble, action)
    check_stored(ensemble, action)
    chains, proposals = measurements(ensemble, action)
    numbers, reweighted, accepted, log_weight, spread = chains.estimates(), {}, ensemble.accepted, ensemble.log_weight, None
    chain: dict[str, Any] = dict(ensemble.attributes.get("diagnostics", {}))
    if proposals is None or log_weight is None or accepted is None:
        chain["thermalisation_pull"] = diagnostics.thermalisation_pull(chains)
    else:
        log_weight = log_weight[ensemble.attributes["thermalisation"] :]
        infinite = ~np.isfinite(log_weight)
        log_weight[infinite] = -np.inf
        integration = chain.get("integration_error", {"mean": 0.0})
        found = diagnostics.of_proposals(log_weight, accepted, action.lattice.volume, integration["mean"])
        chain = {"length": len(ensemble), **chain, **found}
        chain["non_finite_weights"] = int(np.count_nonzero(infinite))
        if chain["ess"] * len(log_weight) >= FEWEST_EFFECTIVE:
            reweighted = proposals.estimates()
        spread = _weight_variance(ensemble, action, log_weight)
    chain["sign_flips"] = chains.sign_flips
    sampler, training = ensemble.attributes["sampler"], ensemble.attributes.get("training")
    exact, of_flow = (SAMPLERS[sampler].exact, SAMPLERS[sampler].needs_flow) if sampler in SAMPLERS else ({}, False)
    return Result(
        sampler=sampler,
        lattice_shape=action.lattice.shape,
        action=action.component,
        seed=ensemble.attributes["seed"],
        chain=chain,
        observables={
            name: ObservableResult(number, reweighted.get(name), _exact(action, name)) for name, number in numbers.items()
        },
        zero_momentum_green=[_number(chains, point) for point in chains.zero_momentum_green],
        effective_mass=[point and _number(chains, point) for point in chains.effective_mass],
        correlation=_correlation(chains, {name: number for name, number in numbers.items() if number is not None}),
        errors=diagnostics.errors_against_number(chains),
        rejection_runs=None if accepted is None else rejection_runs(accepted).tolist(),
        weight_variance=spread,
        checks=checks_of_chain(
            chains, chain, of_flow=of_flow, accepted=accepted, log_weight=log_weight, training=training, exact=exact
        ),
    )


def _weight_variance(ensemble: Ensemble, action: Action, log_weight: np.ndarray) -> WeightVariance | None:
    """Where the variance of the log weights after thermalisation sits, from so many proposals as take little time."""
    first, volume = ensemble.attributes["thermalisation"], action.lattice.volume
    _, series = next(_in_parts(ensemble, action, first=first))
    number, at_once = min(len(series["magnetization"]), _SITES_OF_SPECTRA // volume), max(_SITES // volume, 1)
    rows = (ensemble.rows(start, min(start + at_once, first + number)) for start in range(first, first + number, at_once))
    # Fields that are not finite have no weight that is.
    finite = (np.nan_to_num(phi, nan=0.0, posinf=0.0, neginf=0.0) for phi in rows)
    parts = [(spectra(phi, action.lattice), smooth_powers(phi, action.lattice)) for phi in finite]
    series = {name: values[:number] for name, values in series.items()}
    series["spectra"], series["smooth_powers"] = map(np.concatenate, zip(*parts, strict=True))
    return weight_variance(series, log_weight[:number], max(action.lattice.shape))


def _check_action(ensemble: Ensemble, action: Action) -> None:
    shape, drawn_with = tuple(ensemble.attributes["lattice_shape"]), ensemble.attributes["action"]
    if tuple(action.lattice.shape) != shape:
        raise ConfigError(
            f"the ensemble was drawn on the lattice {shape}, the action is on {tuple(action.lattice.shape)}: give its own"
        )
    if json.loads(json.dumps(action.component)) != drawn_with:
        raise ConfigError(
            f"the ensemble was drawn with the action {drawn_with}, not with {action.component}: give its own, or none"
        )


def _correlation(of: Measurements, known: Mapping[str, Estimate]) -> Correlation:
    longest = max((number.tau_int or 0.5 for number in known.values()), default=0.5) / of.bin_size
    matrix, bins = correlation([of.observable(name) for name in known], max(longest, 0.5))
    return Correlation(list(known), matrix.tolist(), bins)


def _number(of: Measurements, point: pe.Obs) -> Estimate | None:
    try:
        return of.number(point)
    except ValueError:
        return None


def _exact(action: Action, name: str) -> Estimate | None:
    return Estimate(action.exact[name], 0.0) if name in action.exact else None
