"""From an ensemble to a result, for flows and for all other samplers."""

import json

import numpy as np

from lattice_flows.actions import ACTIONS, Action
from lattice_flows.config import ConfigError
from lattice_flows.importance import BrokenFlow
from lattice_flows.io.ensembles import Ensemble
from lattice_flows.lattice import Lattice
from lattice_flows.measurement import diagnostics
from lattice_flows.measurement.agreement import correlation
from lattice_flows.measurement.autocorrelation import rejection_runs
from lattice_flows.measurement.errors import Estimate, estimate
from lattice_flows.measurement.observables import Measurements
from lattice_flows.measurement.result import Correlation, ObservableResult, Result
from lattice_flows.measurement.series import measured

__all__ = ["action_of", "measure", "stored_series"]

_CONFIGURATIONS = 4096  # measured at once


def action_of(ensemble: Ensemble) -> Action:
    """The action that an ensemble was drawn with. Raises `ConfigError` if it is not registered."""
    return ACTIONS.build(ensemble.attributes["action"], Lattice(ensemble.attributes["lattice_shape"]))


def stored_series(ensemble: Ensemble, action: Action) -> dict[str, np.ndarray]:
    """All series of the stored configurations: those in the file, and newly measured ones that the file lacks."""
    first = measured(ensemble.rows(0, 1), action)
    lacking = [name for name in first if name not in ensemble.series]
    found: dict[str, list[np.ndarray]] = {name: [] for name in lacking}
    if lacking:
        chains = first["magnetization"].size
        for chunk in ensemble.chunks(max(_CONFIGURATIONS // chains, 1)):
            series = measured(chunk, action)
            for name, values in found.items():
                values.append(series[name])
    return {name: np.concatenate(found[name]) if name in found else ensemble.series[name] for name in first}


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
    """
    action = action or action_of(ensemble)
    _check_action(ensemble, action)
    series, index, accepted = stored_series(ensemble, action), ensemble.index, ensemble.accepted
    measurements = Measurements(action, series, index=index)
    numbers, reweighted = measurements.estimates(), {}
    chain = dict(ensemble.attributes.get("diagnostics", {}))
    if index is None:
        chain["thermalisation_pull"] = diagnostics.thermalisation_pull(measurements)
    else:
        first = ensemble.attributes["thermalisation"]
        log_weight = ensemble.log_weight[first:]
        finite = np.isfinite(log_weight)
        if not finite.any():
            raise BrokenFlow(len(log_weight))
        log_weight = np.where(finite, log_weight, -np.inf)
        # Relative to the largest, so that no factor overflows.
        weight = np.exp(log_weight - log_weight.max())[:, np.newaxis]
        # A weight of zero would not silence a series that is not a number.
        proposals = {name: _zero_unless(finite, values[first:])[:, np.newaxis] for name, values in series.items()}
        reweighted = Measurements(action, proposals, weight=weight).estimates()
        chain = {"length": len(index)} | chain | diagnostics.of_proposals(log_weight, accepted, action.lattice.volume)
        chain["non_finite_weights"] = int(np.count_nonzero(~finite))
    chain["sign_flips"] = diagnostics.sign_flips(measurements)
    known = [name for name, number in numbers.items() if number is not None]
    return Result(
        sampler=ensemble.attributes["sampler"],
        lattice_shape=action.lattice.shape,
        action=action.component,
        seed=ensemble.attributes["seed"],
        chain=chain,
        observables={
            name: ObservableResult(number, reweighted.get(name), _exact(action, name)) for name, number in numbers.items()
        },
        zero_momentum_green=[estimate(point) for point in measurements.zero_momentum_green],
        effective_mass=[point and estimate(point) for point in measurements.effective_mass],
        correlation=Correlation(known, correlation([measurements.observable(name) for name in known]).tolist()),
        errors=diagnostics.errors_against_number(measurements),
        rejection_runs=None if accepted is None else rejection_runs(accepted).tolist(),
    )


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


def _zero_unless(kept: np.ndarray, values: np.ndarray) -> np.ndarray:
    return values if kept.all() else np.where(kept.reshape(-1, *(1,) * (values.ndim - 1)), values, 0.0)


def _exact(action: Action, name: str) -> Estimate | None:
    return Estimate(action.exact[name], 0.0) if name in action.exact else None
