"""The checks of a chain, of any sampler: can the errors of its observables be trusted?

Limits of numbers in units of their errors follow from the normal distribution and the number of checks; the other ones separate
chains of good flows from bad ones. `scripts/benchmark.py --calibration` counts how many good chains are called bad.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from arviz_stats.base import array_stats

from lattice_flows import importance
from lattice_flows.measurement.autocorrelation import repeats
from lattice_flows.measurement.checks import Check, judged
from lattice_flows.measurement.errors import FEWEST_EFFECTIVE, Estimate, pull
from lattice_flows.measurement.identities import IDENTITIES
from lattice_flows.measurement.measurements import OBSERVABLES, Measurements
from lattice_flows.measurement.result import WITH_TAU_INT
from lattice_flows.measurement.series import GENERAL

__all__ = ["LARGEST_INTEGRATION_ERROR", "LARGEST_NON_FINITE", "checks_of_chain"]

_LONGER = "Draw more configurations"
_TRAIN = "Train the flow longer or use a better one, see docs/choosing.md; a longer chain alone will not help"
_PEAK = "Both signs of M are equally probable: train a flow that covers both, use HMC with many chains, or start from another seed"
_TUNNEL = (
    "The chains do not tunnel between the signs of M, which are equally probable: "
    "let HMC propose global flips (samplers: {hmc: {flip: true}}), or use the sampler tempering"
)
_MOVE = "The chain hardly leaves some configurations: use smaller steps, or let it thermalise longer"
_SAMPLER = (
    "The chain does not have the distribution exp(-S): let it thermalise longer, or use smaller steps (of flow_hmc, more panels)"
)
LARGEST_INTEGRATION_ERROR = 1e-2  # mean, of log weights
LARGEST_NON_FINITE = 1e-3  # share of the weights
_FEWEST_GOOD = 500  # effectively independent proposals
# Bins of a chain.
_SHORTEST_HALF = 5
_SHORTEST_FOR_R_HAT = 8
# Configurations of a chain: how many bins they fill depends on the number of chains.
_LONG_FOR_R_HAT = 100
_R_HAT_OF = ("magnetization", "magnetization_2", "phi_2", "nearest")


def checks_of_chain(
    measurements: Measurements,
    chain: Mapping[str, Any],
    *,
    of_flow: bool = False,
    accepted: np.ndarray | None = None,
    log_weight: np.ndarray | None = None,
    training: Mapping[str, Any] | None = None,
    exact: Mapping[str, float] | None = None,
) -> tuple[Check, ...]:
    """All checks that apply to a chain, or to several parallel ones.

    Args:
      measurements: of the configurations of the chains.
      chain: the diagnostics of the result, see `Result.chain`.
      of_flow: whether the sampler needs a flow, which decides the advice; those with log weights always do.
      accepted: decisions on updates of the whole lattice, `[updates]` or `[updates, chains]`; None for local updates.
      log_weight: of the proposals of a flow, `[n]`; None for other samplers.
      training: what the flow's training found, "ess" and "forward_ess"; None if it is not known.
      exact: diagnostics whose exact mean is known, such as that of exp(-dH), with their means.
    """
    of_proposals = log_weight is not None
    of_flow = of_flow or of_proposals
    found = [*_finite(measurements, _TRAIN if of_flow else _SAMPLER), *_identities(measurements), *_halves(measurements, chain)]
    found += [*_autocorrelation(measurements, chain), *_signs(measurements, _PEAK if of_flow else _TUNNEL)]
    if accepted is not None:
        found += _longest_run(accepted, _TRAIN if of_proposals else _MOVE)
    if log_weight is not None:
        found += _weights(log_weight, chain, training or {})
    if (share := chain.get("smallest_exchange_acceptance")) is not None:
        what = "smallest share of the proposed exchanges between two neighbouring replicas that are accepted"
        found.append(judged("exchange_acceptance", share, 0.1, 0.01, what, "Use more replicas, or a larger smallest_beta"))
    if "integration_error" in chain:
        what = "mean change of the log weights when the step of the integration is halved"
        advice = "Draw the ensemble again, in as many steps as make this small; or train with more integration steps"
        error = chain["integration_error"]["mean"]
        limits = importance.INTEGRATION_TOLERANCE, LARGEST_INTEGRATION_ERROR
        found.append(judged("integration_error", error, *limits, what, advice))
    if "non_finite_ends" in chain:
        what = "share of the trajectories that end where the flow has no finite weight, where no chain can go"
        found.append(judged("non_finite_weights", chain["non_finite_ends"], 0, LARGEST_NON_FINITE, what, _TRAIN))
    for name, mean in (exact or {}).items():
        known = Estimate(chain[name], chain[f"{name}_error"]) if name in chain else None
        known = known if known and known.error else None  # nothing has been seen where all were too far out to count
        what = f"distance of the mean of {name} from {mean:g}, in units of its error"
        found.append(judged(name, known and abs(_pull(known, Estimate(mean, 0.0))), 3, 4, what, _SAMPLER))
    return tuple(found)


def _finite(measurements: Measurements, advice: str) -> Iterator[Check]:
    own = [name for name in measurements.observables if name not in OBSERVABLES]
    names = [name for name in (*GENERAL, *IDENTITIES, *own) if name != "zero_momentum_green"]
    broken = sum(not np.isfinite(measurements.mean(name).value) for name in names)
    what = "time series that are not finite"
    yield judged("non_finite_observables", broken, 0, 0, what, advice)


def _identities(measurements: Measurements) -> Iterator[Check]:
    where = "If the chain is a flow's, train it longer; otherwise let it thermalise longer"
    of_action = {"schwinger_dyson": 1.0} | dict.fromkeys(IDENTITIES, 0.0)
    for name, mean in of_action.items():
        if name != "schwinger_dyson" or name in measurements.observables:
            missed = _pull(_estimate(measurements, name), Estimate(mean, 0.0))
            what = f"distance of an exact identity of the action from {mean:g}, in units of its error"
            yield judged(name, abs(missed), 3, 4, what, where)


def _halves(measurements: Measurements, chain: Mapping[str, Any]) -> Iterator[Check]:
    n = measurements.shape[0]
    largest = None
    if n >= 2 * _SHORTEST_HALF:
        halves = measurements.part(0, n // 2), measurements.part(n // 2, n)
        names = [name for name in WITH_TAU_INT if name in measurements.observables]
        largest = _largest(_pull(*(_estimate(half, name) for half in halves)) for name in names)
    what = "largest difference of an observable between the two halves of the run, in units of its error"
    yield judged("halves", largest, 4, 5, what, f"{_LONGER}, after a longer thermalisation")
    if "thermalisation_pull" in chain:
        missed = chain["thermalisation_pull"]
        what = "difference between the first tenth of the run and the rest, in units of its error"
        yield judged("thermalisation", None if missed is None else abs(missed), 3, 4, what, "Let the chains thermalise longer")


def _autocorrelation(measurements: Measurements, chain: Mapping[str, Any]) -> Iterator[Check]:
    taus = [_estimate(measurements, name).tau_int for name in WITH_TAU_INT if name in measurements.observables]
    longest = _largest(np.nan if tau is None else tau for tau in taus)
    rejections = chain.get("tau_int")
    if rejections is not None:
        # Of several runs: a single one, which is in the errors already, is found by longest_run_squared.
        what = "tau_int from the accept decisions over the largest one from the Gamma method, which long runs of rejections deceive"
        yield judged("tau_int_ratio", rejections / longest, 2, 4, what, _TRAIN)
    independent = measurements.configurations / (2 * max(longest, rejections or 0))
    yield judged("independent_configurations", independent, 100, 30, "length of all chains in units of 2 tau_int", _LONGER)
    n, chains = measurements.shape
    if chains > 1:
        largest = None
        if n >= _SHORTEST_FOR_R_HAT:
            chains_first = (measurements.series(name).T for name in _R_HAT_OF)
            with np.errstate(divide="ignore", invalid="ignore"):  # of chains that never move
                largest = _largest(float(array_stats.rhat(series, chain_axis=0, draw_axis=1)) for series in chains_first)
        what = "largest rank-normalised split R-hat: spread of the chains' means against that within them"
        # In short chains one autocorrelation time is seen; errors are then those of the spread between the chains.
        bad = 1.1 if n * measurements.bin_size >= _LONG_FOR_R_HAT else 2.0
        yield judged("r_hat", largest, 1.05, bad, what, "Let the chains thermalise longer and run longer")


def _signs(measurements: Measurements, advice: str) -> Iterator[Check]:
    if not measurements.action.even:
        return
    flips, (n, chains) = measurements.sign_flips, measurements.shape
    what = "changes of the sign of M, along all chains, proposed flips included"
    yield judged("sign_flips", flips, max(10, chains), 1, what, advice)
    if chains > 1:
        share = measurements.chains_of_one_sign if n >= _SHORTEST_FOR_R_HAT else None
        what = "share of the chains in which M never changes its sign"
        yield judged("chains_of_one_sign", share, 0.05, 0.5, what, advice)
    missed = _pull(_estimate(measurements, "positive_magnetization"), Estimate(0.5, 0.0)) if flips else np.nan
    what = "distance of the share of positive M from 1/2, in units of its error"
    yield judged("positive_magnetization", abs(missed), 3, 4, what, advice)


def _longest_run(accepted: np.ndarray, advice: str) -> Iterator[Check]:
    times = repeats(accepted).astype(float)
    share = times.max() ** 2 / np.sum(times**2)
    what = (
        "share of the sum over configurations of (times in the chain)^2 that the most repeated one holds: near 1, it alone decides"
    )
    yield judged("longest_run_squared", share, 0.5, 0.75, what, advice)
    yield judged("longest_run", times.max() / times.sum(), 0.05, 0.1, "share of the chain that one configuration holds", advice)


def _weights(log_weight: np.ndarray, chain: Mapping[str, Any], training: Mapping[str, Any]) -> Iterator[Check]:
    with np.errstate(invalid="ignore"):  # in a half without any weight
        missed = _pull(*(Estimate(*importance.log_z(half)) for half in np.array_split(log_weight, 2)))
    what = "difference of log Z between the two halves of the proposals, in units of its error"
    yield judged("log_z_halves", abs(missed), 4, 5, what, _TRAIN)
    k, error = importance.k_hat(log_weight)
    what = "tail index of the weights: above 0.5, e^w has no variance and the chain no finite tau_int"
    yield judged("k_hat", k, importance.largest_k_hat(error, 1), importance.largest_k_hat(error), what, _TRAIN)
    effective = chain["ess"] * len(log_weight)
    what = "effectively independent proposals: from fewer, errors of weighted means and of log Z are not known"
    advice = f"{_LONGER}, or train the flow longer"
    yield judged("effective_proposals", effective, _FEWEST_GOOD, FEWEST_EFFECTIVE, what, advice)
    known = training.get("ess")
    what = "effective sample size of the chain's proposals over that of the training: the training has not seen the tail"
    yield judged("ess_of_training", chain["ess"] / known if known else None, 0.8, 0.5, what, _TRAIN)
    forward = training.get("forward_ess")
    if known and forward is not None:
        what = "forward over reverse effective sample size of the training: the flow misses a part of the distribution"
        yield judged("forward_ess", forward / known, 0.8, 0.5, what, _PEAK)
    share = chain["non_finite_weights"] / len(log_weight)
    yield judged("non_finite_weights", share, 0, LARGEST_NON_FINITE, "share of the proposals", _TRAIN)


def _estimate(measurements: Measurements, name: str) -> Estimate:
    """An observable or the mean of a series; not a number where there is none."""
    return measurements.known(name) or Estimate(np.nan, np.nan)


def _pull(ours: Estimate, other: Estimate) -> float:
    """Their difference in units of its error: zero for equal numbers without one, not a number for unequal ones."""
    if np.hypot(ours.error, other.error) == 0:
        return 0.0 if np.isclose(ours.value, other.value) else np.nan
    return pull(ours, other)


def _largest(numbers: Iterator[float]) -> float:
    return float(np.max(np.abs(list(numbers))))  # not a number, if one of them is
