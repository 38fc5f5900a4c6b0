"""Production runs: from a trained flow, or from HMC, to an ensemble on disk and its measurements."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from lattice_flows import __version__, importance
from lattice_flows.actions import ScalarPhi4
from lattice_flows.config import RunConfig
from lattice_flows.flows import Flow
from lattice_flows.importance import WeightedSampler
from lattice_flows.io.ensembles import Ensemble, EnsembleWriter
from lattice_flows.io.files import writing
from lattice_flows.measurement.errors import Estimate, acceptance_autocorrelation, estimate, primary, pull
from lattice_flows.measurement.observables import OBSERVABLES, Measurements, time_series
from lattice_flows.progress import Progress
from lattice_flows.samplers import independence_metropolis
from lattice_flows.samplers.hmc import HMC
from lattice_flows.samplers.local_metropolis import LocalMetropolis

__all__ = [
    "BASELINES",
    "ENSEMBLE",
    "estimates",
    "flow_sampler",
    "measure_flow",
    "sample_flow",
    "sample_hmc",
    "sample_metropolis",
]

ENSEMBLE = "ensemble.h5"
# Of log weights, when the step of a continuous flow is halved: far below the spread that rejections come from.
_INTEGRATION_ERROR = 1e-3
_INTEGRATION_SAMPLES = 2048
_LARGEST_DH = 3.0
_MEASURED = "measured_on_proposal_"
_WITH_TAU_INT = ("two_point_susceptibility", "ising_energy", "phi_squared", "absolute_magnetization", "action_density")


def flow_sampler(flow: Flow, action: ScalarPhi4, config: RunConfig, progress: Progress) -> WeightedSampler:
    """What production draws from: the step of a continuous flow is halved until log weights change by less than 1e-3 on average."""
    sampler = WeightedSampler(flow, action, config.chain.batch_size, config.seed)
    return sampler.integrated(_INTEGRATION_ERROR, _INTEGRATION_SAMPLES, progress.info)


def sample_flow(sampler: WeightedSampler, config: RunConfig, path: Path, progress: Progress) -> None:
    """Runs the independence Metropolis chain of a trained flow and writes it as an ensemble.

    The file holds the chain (`phi` in float32, `log_weight`, `accepted`) and of all proposals the log weights
    (`proposed_log_weight`) and what `observables.time_series` measures on them (`measured_on_proposal_magnetization`, ...), so that
    log Z, the effective sample size and reweighted estimates follow from it too. A file that the same weights, settings and seed
    have made before is left as it is.

    Raises:
      RunError: the file cannot be written.
    """
    chain, seed = config.chain, config.seed
    attributes = _attributes(config, "independence Metropolis", chain.model_dump()) | {"weights": sampler.flow.fingerprint()}
    if path.exists():
        with Ensemble(path) as ensemble:
            if ensemble.was_made_as(attributes):
                progress.info(f"{path.name} is there already")
                return
    progress.info("compiling the sampler with XLA ...")
    next(sampler.batches(1, "compilation"))
    with _recording(path, attributes, progress.bar("sampling", chain.length)) as (writer, bar):
        start = time.perf_counter()
        for info in independence_metropolis.chain(sampler, chain.length, chain.thermalisation, seed):
            proposals = time_series(info.proposed_phi, sampler.action.lattice.time_axes)
            writer.append(
                phi=info.phi.astype(np.float32),
                log_weight=info.log_weight,
                accepted=info.accepted,
                proposed_log_weight=info.proposed_log_weight,
                **{f"{_MEASURED}{name}": values for name, values in proposals.items()},
            )
            bar.advance(len(info.accepted), f"acceptance {np.mean(info.accepted):.3f}")
        rate = (chain.length + chain.thermalisation) / (time.perf_counter() - start)
        writer.describe(
            {"samples_per_second": rate} | {f"integration_error_{kind}": value for kind, value in sampler.integration_error.items()}
        )


def measure_flow(path: Path, action: ScalarPhi4) -> tuple[Measurements, Measurements, np.ndarray, dict[str, Any]]:
    """Measures an ensemble written by `sample_flow`.

    Returns:
      the measurements; those of all proposals with their weights, which are independent of each other, instead of accepting and
      rejecting; the accept decisions `[n]`; and the facts: length, acceptance, ess, tau_int and its error, log_z and its error,
      free_energy_density `-log Z / V` and its error, sign_flips of M, samples_per_second, integration_error.
    """
    measurements, reweighted = Measurements(action, "flow"), Measurements(action, "importance")
    with Ensemble(path) as ensemble:
        for phi in ensemble.pieces("phi"):
            measurements.add(phi[:, np.newaxis])
        accepted, proposed = ensemble["accepted"], ensemble["proposed_log_weight"]
        attributes = ensemble.attributes
        series = {
            name.removeprefix(_MEASURED): ensemble[name][:, np.newaxis] for name in ensemble.names if name.startswith(_MEASURED)
        }
    # Relative to the largest, so that no factor overflows.
    reweighted.add_series(series, np.exp(proposed - proposed.max())[:, np.newaxis])
    tau_int = acceptance_autocorrelation(accepted)
    log_z, log_z_error = importance.log_z(proposed)
    facts = {
        "length": len(accepted),
        "acceptance": float(np.mean(accepted)),
        "ess": importance.effective_sample_size(proposed),
        "tau_int": tau_int.value,
        "tau_int_error": tau_int.error,
        "log_z": log_z,
        "log_z_error": log_z_error,
        "free_energy_density": -log_z / action.lattice.volume,
        "free_energy_density_error": log_z_error / action.lattice.volume,
        "sign_flips": measurements.sign_flips(),
        "samples_per_second": attributes["samples_per_second"],
        "integration_error": {kind: attributes[f"integration_error_{kind}"] for kind in ("mean", "largest")},
    }
    return measurements, reweighted, accepted, facts


def sample_hmc(
    action: ScalarPhi4, config: RunConfig, strategy: tf.distribute.Strategy, path: Path, progress: Progress
) -> tuple[Measurements, np.ndarray, dict[str, Any]]:
    """Runs HMC, measures every `save_every`-th configuration, and writes these as an ensemble (`phi` in float32).

    It runs on the first device of the strategy. Of the first `successive` trajectories every one is measured too, for tau_int in
    trajectories.

    Returns:
      the measurements, the accept decisions of all trajectories `[trajectories, chains]`, and the facts of the run: chains,
      trajectories, save_every, acceptance, step_size, trajectory_length, sign_flips of M, thermalisation_pull, tau_int_of_updates,
      trajectories_per_second, and `exp_minus_dh`, the mean of exp(-dH) with its error, which must be 1. There, trajectories with
      |dH| > 3 count as 1: by `P(-dH) = exp(-dH) P(dH)` that does not change the mean, which without it hangs on events too rare to
      be seen wherever leapfrog becomes unstable.

    Raises:
      RunError: the file cannot be written.
    """
    settings = config.hmc
    hmc = HMC(action, leapfrog_steps=settings.leapfrog_steps, seed=config.seed)
    progress.info(f"compiling HMC with XLA, thermalising {settings.chains} chains with {settings.thermalisation} trajectories ...")
    device = strategy.extended.worker_devices[0]
    with tf.device(device):
        state = hmc.thermalise(hmc.init(settings.chains), settings.thermalisation, settings.target_acceptance)
    measurements, successive = Measurements(action, "hmc"), Measurements(action, "successive")
    accepted, exp_minus_dh = [], []
    done = 0
    attributes = _attributes(config, "HMC", settings.model_dump())
    with tf.device(device), _recording(path, attributes, progress.bar("HMC", settings.trajectories)) as (writer, bar):
        start = time.perf_counter()
        for phi, info in hmc.sample(state, settings.trajectories):
            saved = phi[-done % settings.save_every :: settings.save_every]
            measurements.add(saved)
            if done < settings.successive:
                successive.add(phi[: settings.successive - done])
            writer.append(phi=saved.astype(np.float32))
            accepted.append(info.accepted)
            exp_minus_dh.append(np.where(np.abs(info.dh) < _LARGEST_DH, np.exp(-info.dh), 1.0))
            done += len(phi)
            bar.advance(len(phi), f"acceptance {np.mean(info.accepted):.3f}")
        seconds = time.perf_counter() - start
    conserved = estimate(primary(np.concatenate(exp_minus_dh).T, "hmc"))
    step_size, accepted = float(state.step_size), np.concatenate(accepted)
    facts = {
        "chains": settings.chains,
        "trajectories": settings.trajectories,
        "save_every": settings.save_every,
        "acceptance": float(np.mean(accepted)),
        "step_size": step_size,
        "trajectory_length": step_size * settings.leapfrog_steps,
        "exp_minus_dh": conserved.value,
        "exp_minus_dh_error": conserved.error,
        **_diagnostics(measurements, successive),
        "trajectories_per_second": settings.chains * settings.trajectories / seconds,
    }
    return measurements, accepted, facts


def sample_metropolis(
    action: ScalarPhi4, config: RunConfig, strategy: tf.distribute.Strategy, path: Path, progress: Progress
) -> tuple[Measurements, None, dict[str, Any]]:
    """Runs local Metropolis on the first device of the strategy, measures every configuration and writes them (`phi` in float32).

    Before that, `successive` configurations are measured after every sweep, for tau_int in sweeps.

    Returns:
      the measurements, None in place of the accept decisions, of which every site has its own, and the facts of the run: chains,
      configurations, sweeps_between, acceptance, width, sign_flips of M, thermalisation_pull, tau_int_of_updates,
      configurations_per_second.

    Raises:
      ValueError: an odd extent.
      RunError: the file cannot be written.
    """
    settings = config.metropolis
    metropolis = LocalMetropolis(action, seed=config.seed)
    progress.info(
        f"compiling local Metropolis with XLA, thermalising {settings.chains} chains with {settings.thermalisation} sweeps ..."
    )
    measurements, successive, acceptance = Measurements(action, "metropolis"), Measurements(action, "successive"), []
    attributes = _attributes(config, "local Metropolis", settings.model_dump())
    bar_of_all = progress.bar("local Metropolis", settings.configurations)
    with tf.device(strategy.extended.worker_devices[0]), _recording(path, attributes, bar_of_all) as (writer, bar):
        state = metropolis.thermalise(metropolis.init(settings.chains), settings.thermalisation, settings.target_acceptance)
        for phi, _ in metropolis.sample(state, settings.successive, purpose="successive"):
            successive.add(phi)
            state = state._replace(phi=tf.constant(phi[-1]))
        start = time.perf_counter()
        for phi, info in metropolis.sample(state, settings.configurations, settings.sweeps_between):
            measurements.add(phi)
            writer.append(phi=phi.astype(np.float32))
            acceptance.append(info.acceptance)
            bar.advance(len(phi), f"acceptance {np.mean(info.acceptance):.3f}")
        seconds = time.perf_counter() - start
    facts = {
        "chains": settings.chains,
        "configurations": settings.configurations,
        "sweeps_between": settings.sweeps_between,
        "acceptance": float(np.mean(np.concatenate(acceptance))),
        "width": state.width,
        **_diagnostics(measurements, successive),
        "configurations_per_second": settings.chains * settings.configurations / seconds,
    }
    return measurements, None, facts


BASELINES = {"hmc": sample_hmc, "metropolis": sample_metropolis}


@contextlib.contextmanager
def _recording(
    path: Path, attributes: dict[str, Any], progress: contextlib.AbstractContextManager
) -> Iterator[tuple[EnsembleWriter, Any]]:
    """An ensemble being written, and the bar of its progress."""
    with writing(path), EnsembleWriter(path, attributes) as writer, progress as bar:
        yield writer, bar


def _diagnostics(measurements: Measurements, successive: Measurements) -> dict[str, Any]:
    """The facts that tell whether the chains of a baseline move."""
    return {
        "sign_flips": measurements.sign_flips(),
        "thermalisation_pull": thermalisation_pull(measurements),
        "tau_int_of_updates": tau_int_of_updates(successive),
    }


def thermalisation_pull(measurements: Measurements) -> float:
    """The first tenth of all chains against the rest: the largest pull of chi_2 and E, in which the start must not show."""
    n = len(measurements.series("phi_2"))
    tenth = max(n // 10, 5)  # below which there is no error estimate
    first, rest = measurements.part(0, tenth), measurements.part(tenth, n)
    pulls = [pull(first.estimate(name), rest.estimate(name)) for name in ("two_point_susceptibility", "ising_energy")]
    return max(pulls, key=abs)


def tau_int_of_updates(successive: Measurements) -> dict[str, list[float]]:
    """Integrated autocorrelation time, in updates, and its error, of observables from the longest to the shortest distances."""
    found = {name: successive.estimate(name) for name in _WITH_TAU_INT}
    return {name: [round(number.tau_int, 4), round(number.tau_int_error, 4)] for name, number in found.items()}


def estimates(measurements: Measurements) -> dict[str, Estimate | None]:
    """All registered observables; None where the ensemble does not determine one."""
    results: dict[str, Estimate | None] = {}
    for name in OBSERVABLES:
        try:
            results[name] = measurements.estimate(name)
        except ValueError:
            results[name] = None
    return results


def _attributes(config: RunConfig, sampler: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "sampler": sampler,
        "settings": settings,
        "lattice_shape": config.lattice.shape,
        "action": config.action.model_dump(),
        "seed": config.seed,
        "lattice_flows": __version__,
    }
