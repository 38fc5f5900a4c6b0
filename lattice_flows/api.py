"""Lattice field theory from Python in five calls: `train`, `sample`, `baseline`, `measure`, `load`.

None of them needs a folder. With `out` or `path`, they write the same files as the commands.
"""

import os
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pydantic
import tensorflow as tf

from lattice_flows.actions import Action, check_action
from lattice_flows.config import (
    ChainConfig,
    ConfigError,
    LatticeConfig,
    RunConfig,
    SamplerConfig,
    TrainingConfig,
    chain_settings,
    checked_field,
    latent_settings,
)
from lattice_flows.config.errors import explain, shown
from lattice_flows.flows import Flow, load_weights
from lattice_flows.io.ensembles import Ensemble
from lattice_flows.io.files import FolderInUse, RunError
from lattice_flows.measurement.result import Result
from lattice_flows.pipeline import build_model, open_trained, recorded_config, train_model
from lattice_flows.production import baseline_run, latent_run, measure_run, sample_run
from lattice_flows.progress import Progress
from lattice_flows.reading import reading
from lattice_flows.samplers import SAMPLERS
from lattice_flows.training.devices import choose_strategy, strategy_on
from lattice_flows.training.stages import pretrained_weights
from lattice_flows.training.state import Summary
from lattice_flows.training.trainer import train as train_flow

__all__ = ["baseline", "load", "measure", "sample", "train"]

Settings = TypeVar("Settings", bound=pydantic.BaseModel)


def train(
    flow: Flow,
    action: Action,
    *,
    steps: int = 300,
    seed: int = 1,
    device: str | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    progress: Progress | bool = True,
    **settings: Any,
) -> Summary:
    """Trains a flow in place, and leaves it with the weights of the smallest Kullback-Leibler divergence.

    Example:

    ```python
    action = lf.ScalarPhi4(lf.Lattice((4, 4)), m2=1.0, lam=0.5)
    flow = lf.flows.affine(action.lattice, layers=2)
    summary = lf.train(flow, action, steps=20, optimizer="adam", learning_rate=0.01)
    print(f"acceptance {summary.acceptance:.2f} after {summary.steps} steps")
    ```

    Args:
      flow: the flow to train; the weights of one that is trained already are kept where no later ones are better.
      action: the target is `exp(-action(phi)) / Z`.
      steps: number of optimisation steps.
      seed: master seed of all random numbers.
      device: "cpu", "gpu", "gpu:1", or several devices as "gpu:0,gpu:1"; it must hold the flow. None for those that do.
      out: a run folder for metrics, checkpoints and weights; None writes nothing.
      resume: continue an earlier run in that folder.
      progress: whether to show progress, or where.
      **settings: further keys of `lattice_flows.config.TrainingConfig`, such as `batch_size`, `learning_rate`, `loss`, `gradient`,
        `optimizer`, `target_acceptance`, `init_from`, `forward_samples`.

    Returns:
      what was done, and how good the flow is by fresh samples: acceptance, ess, kl, k_hat, ...

    Raises:
      ConfigError: an unknown key, or a value that cannot be used.
      DeviceError: a device that is not available or does not hold the flow.
      RunError: the run folder is in use or cannot be written.
      TrainingDiverged: steps that lead astray at any length; lower the learning rate.
    """
    plain = {key: os.fspath(value) if isinstance(value, os.PathLike) else value for key, value in settings.items()}
    training, seed = _checked(TrainingConfig, {"steps": steps, **plain}, "train"), _seed(seed, "train")
    _check_lattices(flow, action)
    strategy = None if device is None else strategy_on(device, flow.variables)
    if out is None:
        if resume:
            raise ConfigError("train: resume=True is for a run folder: give out, too")
        return train_flow(flow, action, training, seed=seed, strategy=strategy, progress=_progress(progress))
    config = _configuration(flow, action, training, seed)
    try:
        trained = train_model(flow, action, config, out, strategy, _progress(progress), resume=resume)
    except FolderInUse as error:
        raise FolderInUse(f"{error}; resume=True continues that run") from None
    trained.run.close()
    return trained.summary


def sample(
    flow: Flow,
    action: Action,
    length: int = 100_000,
    *,
    sampler: str = "independence",
    seed: int = 1,
    path: str | Path | None = None,
    progress: Progress | bool = True,
    **settings: Any,
) -> Ensemble:
    """Draws a Markov chain of the exact distribution: the flow proposes, and independence Metropolis accepts or rejects.

    Example:

    ```python
    action = lf.ScalarPhi4(lf.Lattice((4, 4)), m2=1.0, lam=0.5)
    flow = lf.flows.affine(action.lattice, layers=2)
    ensemble = lf.sample(flow, action, 1000)
    print(ensemble.phi.shape)                                           # (1000, 1, 4, 4)
    ```

    Args:
      flow: gives the proposals; usually a trained one.
      action: the distribution is `exp(-action(phi)) / Z`.
      length: number of configurations, 1000 or more; of all chains together, if there are several.
      sampler: "independence", or, if that is rarely accepted, "annealed", "flow_hmc" or "pcn".
      seed: master seed of all random numbers.
      path: a file to write, `*.h5`; a chain that was interrupted goes on there. None keeps the ensemble in memory.
      progress: whether to show progress, or where.
      **settings: further keys of `lattice_flows.config.ChainConfig` and of the sampler; for "flow_hmc" and "pcn" as in `baseline`.

    Returns:
      the proposals with their weights, and which of them the chain holds after each update; of "flow_hmc" and "pcn" the chains.

    Raises:
      ConfigError: an unknown sampler or key, or a value that cannot be used.
      RunError: the file cannot be written, another process is writing it, or it holds an ensemble of other settings or seed.
    """
    seed, file = _seed(seed, "sample"), path if path is None else _path(path, "sample")
    _check_lattices(flow, action)
    how: dict[str, Any] = {"seed": seed, "path": file, "progress": _progress(progress)}
    if SAMPLERS.find(sampler).weighted:
        return sample_run(flow, action, _checked(ChainConfig, chain_settings(sampler, length, settings), "sample"), **how)
    return latent_run(sampler, flow, action, _checked(SamplerConfig, latent_settings(sampler, length, settings), "sample"), **how)


def baseline(
    action: Action,
    sampler: str = "hmc",
    *,
    seed: int = 1,
    path: str | Path | None = None,
    progress: Progress | bool = True,
    **settings: Any,
) -> Ensemble:
    """Draws configurations with a sampler that needs no flow, to compare with: hybrid Monte Carlo by default.

    Example:

    ```python
    action = lf.ScalarPhi4(lf.Lattice((4, 4)), m2=1.0, lam=0.5)
    ensemble = lf.baseline(action, chains=16, updates=100, thermalisation=50)
    print(ensemble.phi.shape)                                           # (10, 16, 4, 4)
    ```

    Args:
      action, seed, path, progress: as for `sample`.
      sampler: "hmc", "metropolis", or another registered one.
      **settings: further keys of `lattice_flows.config.SamplerConfig`, such as `chains`, `updates` (of each chain), `thinning`,
        `thermalisation`, and those of the sampler, such as `leapfrog_steps`.

    Raises:
      ConfigError, RunError: as for `sample`.
    """
    chosen, seed = _checked(SamplerConfig, settings, "baseline"), _seed(seed, "baseline")
    path = path if path is None else _path(path, "baseline")
    check_action(action)
    return baseline_run(sampler, action, chosen, seed=seed, path=path, progress=_progress(progress))


def measure(ensemble: Ensemble | str | Path, action: Action | None = None) -> Result:
    """Measures all registered observables of an ensemble, with errors that account for autocorrelations.

    Example:

    ```python
    action = lf.ScalarPhi4(lf.Lattice((4, 4)), m2=1.0, lam=0.5)
    ensemble = lf.sample(lf.flows.affine(action.lattice, layers=2), action, 1000)
    result = lf.measure(ensemble)
    print(result)
    print(result.observables["two_point_susceptibility"].estimate)
    ```

    Args:
      ensemble: what `sample` returned, or a file or run folder that holds one, of any sampler.
      action: what it was drawn with; by default the one that the ensemble records.

    Raises:
      RunError: there is no such file.
      EnsembleError: the file is damaged or foreign.
      ConfigError: the ensemble's action is not registered, and none is given.
    """
    if isinstance(ensemble, np.ndarray):
        raise ConfigError(
            f"measure: an array of the shape {ensemble.shape} does not say how it was drawn: use "
            "lattice_flows.measurement.observables.Measurements.of(action, phi).estimates(), with phi [n, chains, *lattice.shape]"
        )
    if action is not None:
        check_action(action)
    return measure_run(ensemble if isinstance(ensemble, Ensemble) else _path(ensemble, "measure"), action)


def load(source: str | Path, flow: str | None = None, *, device: str | None = None) -> tuple[Flow, Action]:
    """Loads a trained flow, with the integration steps that its training accepted, and the action it was trained for.

    Example:

    ```python
    flow, action = lf.load("E1")
    phi, log_q = flow.sample_and_log_prob(10, seed=[1, 2])
    ```

    Args:
      source: a run folder, a weights file, or an ensemble whose weights come with the package, such as "E1" to "E5" of
        arXiv:1904.12072.
      flow: which of the weights that come with the package: "affine", "continuous", ...; None for the flow of the ensemble's
        configuration.
      device: where to put it, as for `train`; None for TensorFlow's default.

    Raises:
      ConfigError: no such weights, or a weights file that does not say which flow it belongs to.
      CheckpointError: the weights are missing, damaged, or do not fit.
    """
    strategy = None if device is None else choose_strategy(device)
    path = _path(source, "load")
    with reading(path, error=ConfigError):
        is_folder, is_there = path.is_dir(), path.exists()
    if is_there and flow is not None:
        raise ConfigError(f"load: flow={flow!r} is for weights that come with the package, and {source} is there: leave flow out")
    if is_folder:
        trained = open_trained(path, strategy)
        return trained.flow, trained.action
    if not is_there:
        if isinstance(source, Path) or len(path.parts) > 1 or path.suffix:
            raise ConfigError(f"there is no run folder or weights file {source}")
        path = pretrained_weights(str(source), flow)
    model, action = build_model(recorded_config(path), strategy)
    load_weights(path, model)
    return model, action


def _checked(model: type[Settings], settings: dict[str, Any], call: str) -> Settings:
    try:
        return model.model_validate(settings)
    except pydantic.ValidationError as error:
        raise ConfigError(f"{call}: {explain(error, model)}") from None


def _seed(seed: int, call: str) -> int:
    return checked_field(RunConfig, "seed", seed, f"{call}: seed")


def _path(source: Any, call: str) -> Path:
    if isinstance(source, str | os.PathLike) and "\0" not in os.fspath(source):
        return Path(source)
    raise ConfigError(f"{call}: {shown(source)} is not a path: give a file or a run folder")


def _check_lattices(flow: Flow, action: Action) -> None:
    if not hasattr(flow, "lattice"):
        raise ConfigError(f"the flow is {shown(flow)}: build one on a lattice, such as lf.Lattice((8, 8))")
    check_action(action, tf.float32)
    here, there = tuple(flow.lattice.shape), tuple(action.lattice.shape)
    if here != there:
        raise ConfigError(f"the flow is on the lattice {here}, the action on {there}: build both on the same one")


def _progress(progress: Progress | bool) -> Progress:
    return progress if isinstance(progress, Progress) else Progress(quiet=not progress)


def _configuration(flow: Flow, action: Action, training: TrainingConfig, seed: int) -> RunConfig:
    """The configuration of a run folder, from parts that know what they were built from."""
    component = getattr(flow, "component", None)
    if component is None:
        raise RunError(
            "the flow does not know what it was built from, so a run folder could not say how to build it again: train it without "
            "`out`, and save it by lattice_flows.flows.save_weights(path, flow)"
        )
    lattice = LatticeConfig(shape=action.lattice.shape)
    tree = {"seed": seed, "lattice": lattice, "action": action.component, "flow": component, "training": training}
    return RunConfig.checked(tree, "train")
