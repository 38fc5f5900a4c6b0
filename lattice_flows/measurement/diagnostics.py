"""Whether a chain can be trusted: whether it moves, has forgotten its start, and has errors that fall as they should."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lattice_flows import importance
from lattice_flows.measurement.autocorrelation import acceptance_autocorrelation
from lattice_flows.measurement.errors import pull
from lattice_flows.measurement.observables import Measurements
from lattice_flows.measurement.result import LONG_AND_SHORT, WITH_TAU_INT

__all__ = ["errors_against_number", "of_proposals", "tau_int_of_updates", "thermalisation_pull"]

_HALVINGS = 7
_SHORTEST = 16  # bins of a chain
_FEWEST = 5  # bins of a chain that an error can be estimated from


def thermalisation_pull(measurements: Measurements) -> float | None:
    """The first tenth of all chains against the rest: the larger pull of chi_2 and E, which must show no trace of the start.

    None where the parts do not determine both.
    """
    n = measurements.shape[0]
    tenth = max(n // 10, _FEWEST)
    first, rest = measurements.part(0, tenth), measurements.part(tenth, n)
    pairs = [(first.known(name), rest.known(name)) for name in LONG_AND_SHORT]
    known = [(start, end) for start, end in pairs if start and end]
    return max((pull(start, end) for start, end in known), key=abs) if len(known) == len(pairs) else None


def tau_int_of_updates(successive: Measurements) -> dict[str, list[float]]:
    """Integrated autocorrelation time, in updates, and its error, of observables from the longest to the shortest distances.

    Args:
      successive: measurements of configurations with one update between them.
    """
    found = {name: successive.known(name) for name in WITH_TAU_INT if name in successive.observables}
    known = {name: (number.tau_int, number.tau_int_error) for name, number in found.items() if number}
    return {name: [round(tau, 4), round(error, 4)] for name, (tau, error) in known.items() if tau is not None and error is not None}


def errors_against_number(measurements: Measurements) -> dict[str, list[float | None]]:
    """Errors of chi_2 and E from about 1/128, 1/64, ..., 1 of the configurations, as long as there are enough.

    Every part is about twice the one before: the beginning of one chain, all of it, then more chains.

    Returns:
      "configurations", and the errors of each observable, None where they are not determined.
    """
    length, chains = measurements.shape
    sizes = [(length, chains)]
    while len(sizes) <= _HALVINGS and (chains > 1 or length >= 2 * _SHORTEST):
        length, chains = (length, chains // 2) if chains > 1 else (length // 2, chains)
        sizes.append((length, chains))
    parts = [measurements.part(0, *size) for size in reversed(sizes[1:])] + [measurements]
    return {
        "configurations": [part.configurations for part in parts],
        **{name: [number and number.error for number in (part.known(name) for part in parts)] for name in LONG_AND_SHORT},
    }


def of_proposals(log_weight: np.ndarray, accepted: np.ndarray, volume: int, integration_error: float = 0.0) -> Mapping[str, Any]:
    """What the proposals of a flow say about it and about the chain.

    Args:
      log_weight: of the proposals, `[n]`.
      accepted: the decisions on them, `[n]`.
      volume: number of sites.
      integration_error: mean change of log weights when the step of the integration is halved. What all weights have in common
        cancels in observables and in the chain, but shifts log Z, whose error contains it, added in quadrature.
    """
    tau_int = acceptance_autocorrelation(accepted)
    log_z, log_z_error = importance.log_z(log_weight, integration_error)
    return {
        "ess": importance.effective_sample_size(log_weight),
        "tau_int": tau_int.value,
        "tau_int_error": tau_int.error,
        "log_z": log_z,
        "log_z_error": log_z_error,
        "free_energy_density": -log_z / volume,
        "free_energy_density_error": log_z_error / volume,
    }
