"""The training loop: stochastic descent on the reverse KL divergence, on one or several devices."""

import csv
import functools
import io
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras

from lattice_flows.actions import ACTIONS, ScalarPhi4
from lattice_flows.config import ConfigError, RunConfig, TrainingConfig
from lattice_flows.flows import FLOWS, Flow
from lattice_flows.importance import WeightedSampler, effective_sample_size, expected_acceptance, integration_error, log_z
from lattice_flows.io.arrays import Checkpoints, assign, read_arrays, write_arrays
from lattice_flows.io.runs import RunDirectory
from lattice_flows.lattice import Lattice
from lattice_flows.progress import Progress
from lattice_flows.seeds import sub_seed
from lattice_flows.training.objectives import ESTIMATORS, absolute_error, reparameterisation
from lattice_flows.training.optimizers import OPTIMIZERS, Adam, NaturalGradient

__all__ = ["Summary", "TrainingDiverged", "TrainingStep", "adopt", "build_model", "load_trained", "train"]

WEIGHTS = "weights.npz"
_EVALUATION_BATCH = 512
_INTEGRATION_SAMPLES = 1024
# Of the spread of log weights: what halving the step of an integration may change them by.
_LARGEST_SHARE = 0.1
_MOST_HALVINGS = 4
_SIGMAS = 5
_OPTIMIZER = "optimizer"


class TrainingDiverged(RuntimeError):
    """The loss is no longer a finite number; the run directory keeps the last good state."""


class Summary(NamedTuple):
    """What a training did. `acceptance` and `ess` are those of the best model, the one that is kept.

    `earlier_seconds` is the training time of the runs on whose weights this one began.
    """

    steps: int
    seconds: float
    compile_seconds: float
    parameters: int
    acceptance: float
    ess: float
    stopped: str
    earlier_seconds: float = 0.0


def build_model(config: RunConfig) -> tuple[Flow, ScalarPhi4]:
    """The flow, with fresh weights, and the action of a configuration. Raises `ConfigError`."""
    lattice = Lattice(config.lattice.shape)
    return FLOWS.build(config.flow, lattice, config.seed), ACTIONS.build(config.action, lattice)


def load_trained(run: RunDirectory, config: RunConfig, strategy: tf.distribute.Strategy) -> tuple[Flow, ScalarPhi4, Summary]:
    """The best model of an earlier training, on the devices of a strategy.

    Raises:
      CheckpointError: the run has no weights, or they are damaged.
    """
    with strategy.scope():
        flow, action = build_model(config)
    return flow, action, _load(flow, run.path / WEIGHTS)


def adopt(
    config: RunConfig, out: str | Path, weights: Path, strategy: tf.distribute.Strategy, *, resume: bool = False
) -> tuple[RunDirectory, Flow, ScalarPhi4, Summary]:
    """Makes a run directory with weights that were trained before, in place of `train`.

    Args:
      config: the run.
      out: the run directory.
      weights: the `weights.npz` of the earlier run.
      strategy: the devices.
      resume: go on with an earlier run in that directory.

    Returns:
      as `train`.

    Raises:
      ConfigError: the weights are those of another lattice, action or flow.
      CheckpointError: they are missing or damaged.
      RunError: the run directory is in use or cannot be written.
    """
    arrays, facts = read_arrays(weights)
    trained = {name: facts["config"][name] for name in ("lattice", "action", "flow")}
    different = {key: pair for key, pair in config.differences(trained).items() if key.split(".")[0] in trained}
    if different:
        listed = ", ".join(f"{key} {there!r}, not {here!r}" for key, (here, there) in different.items())
        raise ConfigError(f"the weights in {weights.name} were trained with {listed}")
    with strategy.scope():
        flow, action = build_model(config)
    assign(flow.named_variables(), arrays)
    run = RunDirectory.start(out, config, resume=resume, devices=strategy.extended.worker_devices)
    write_arrays(run.path / WEIGHTS, arrays, facts)
    return run, flow, action, Summary(**facts["summary"])


def _load(flow: Flow, path: Path) -> Summary:
    arrays, facts = read_arrays(path)
    assign(flow.named_variables(), arrays)
    return Summary(**facts["summary"])


class TrainingStep:
    """One optimisation step, split over the replicas of a strategy.

    The batch of prior samples depends on the seed alone; every replica transforms its share of it, so the number of devices does
    not change the result.

    Args:
      flow: built under `strategy.scope()`.
      action: the action.
      config: of the training.
      strategy: the devices.
      optimizer: that of an earlier step for the same weights, to go on with.

    Raises:
      ConfigError: the batch cannot be split evenly.
    """

    def __init__(
        self,
        flow: Flow,
        action: ScalarPhi4,
        config: TrainingConfig,
        strategy: tf.distribute.Strategy,
        optimizer: Adam | NaturalGradient | None = None,
    ):
        replicas = strategy.num_replicas_in_sync
        if config.batch_size % replicas:
            raise ConfigError(f"training.batch_size must be a multiple of the {replicas} devices, got {config.batch_size}")
        share = config.batch_size // replicas
        with strategy.scope():
            rate = learning_rate_schedule(config)
            self.optimizer = optimizer or OPTIMIZERS.build(config.optimizer, flow.trainable_variables, rate)

        estimators = {
            "reverse KL": ESTIMATORS[config.gradient],
            "absolute error": functools.partial(reparameterisation, loss=absolute_error),
        }

        @tf.function(jit_compile=True)
        def estimate(seed, replica, objective):
            def draw():
                z = flow.prior.sample(config.batch_size, seed=seed)[replica * share : (replica + 1) * share]
                # Drawn in float64 (XLA's float32 normals are ten times slower), mapped in the precision that a gradient needs.
                return tf.ensure_shape(tf.cast(z, tf.float32), [share, *flow.lattice.shape])

            found = estimators[objective](flow, action, draw, with_fisher=self.optimizer.needs_fisher)
            # They are summed over replicas, so each is divided by the whole batch.
            return [part / config.batch_size for part in found if part is not None]

        def replica_step(seed, objective):
            return estimate(seed, tf.distribute.get_replica_context().replica_id_in_sync_group, objective)

        @tf.function
        def step(seed, objective):
            loss, *parts = (strategy.reduce("SUM", part, axis=None) for part in strategy.run(replica_step, (seed, objective)))
            with strategy.scope():
                self.optimizer.apply(*parts)
            return loss

        self._step = step

    def __call__(self, seed: np.ndarray, objective: str = "reverse KL") -> float:
        """Makes one step with the batch of this seed, on the "reverse KL" or the "absolute error".

        Returns:
          the mean of `log q + S`, whichever the objective, before the step.
        """
        return float(self._step(tf.constant(seed), objective))


def learning_rate_schedule(config: TrainingConfig):
    """The learning rate against the step, as a tf-keras schedule.

    Raises:
      ConfigError: a schedule of steps without boundaries.
    """
    schedules = tf_keras.optimizers.schedules
    rate, schedule = config.learning_rate, config.schedule
    if schedule.name == "cosine":
        return schedules.CosineDecay(rate, config.steps)
    if schedule.name == "steps":
        if not schedule.boundaries:
            raise ConfigError("training.schedule.boundaries must list the steps at which the learning rate falls")
        rates = [rate * schedule.factor**k for k in range(len(schedule.boundaries) + 1)]
        return schedules.PiecewiseConstantDecay(list(schedule.boundaries), rates)
    return schedules.PiecewiseConstantDecay([config.steps], [rate, rate])


def train(
    config: RunConfig, out: str | Path, strategy: tf.distribute.Strategy, progress: Progress, *, resume: bool = False
) -> tuple[RunDirectory, Flow, ScalarPhi4, Summary]:
    """Trains the flow of a configuration in a run directory of its own, or goes on where that stands.

    Leaves `metrics.csv`, checkpoints and the weights of the best model by effective sample size, and in `stages` the runs of the
    configuration's stages, each of which begins with the weights of the one before. All random numbers follow from `config.seed`,
    so the result does not depend on interruptions. Nothing is written before the configuration has proved usable.

    The step of a continuous flow is halved as soon as that matters: when it changes the log weights by a tenth of their spread or
    more, or when the loss lies below its bound `-log Z`, which is to say that training exploits the integrator. In the second case
    it goes on from the best model before.

    Args:
      config: the run.
      out: the run directory.
      strategy: the devices.
      progress: where progress is shown.
      resume: go on with an earlier run in that directory.

    Returns:
      the directory, the best model, the action, and what was done.

    Raises:
      ConfigError: a part of the configuration that cannot be built.
      RunError: the run directory is in use, belongs to another configuration, or cannot be written.
      CheckpointError: every checkpoint is damaged, or the weights to begin with are missing or do not fit.
      TrainingDiverged: a loss that is not finite, or an integrator that is exploited at every step size.
    """
    with strategy.scope():
        flow, action = build_model(config)
    step = TrainingStep(flow, action, config.training, strategy)
    init_from = config.training.init_from
    earlier_seconds = 0.0 if init_from is None else _begin_with(flow, config, Path(init_from))
    run = RunDirectory.start(out, config, resume=resume, devices=strategy.extended.worker_devices)
    loop = _Loop(config, run, flow, action, step, strategy, progress)
    if not loop.restore():
        before = init_from
        for index, stage in enumerate(config.stage_configs(), 1):
            progress.info(f"stage {index} of {len(config.stages)}: lattice {stage.lattice.shape}, {stage.action.parameters}")
            stage = stage.model_copy(update={"training": stage.training.model_copy(update={"init_from": before})})
            before = str(run.path / "stages" / str(index))
            train(stage, before, strategy, progress, resume=resume)
            earlier_seconds = _begin_with(flow, config, Path(before))
        loop.begin(earlier_seconds)
    summary = loop.run()
    assign(flow.named_variables(), loop.best_weights)
    return run, flow, action, summary


def _begin_with(flow: Flow, config: RunConfig, path: Path) -> float:
    """Gives a flow the weights of an earlier run, of any extents, and returns how long their training took."""
    arrays, facts = read_arrays(path / WEIGHTS if path.is_dir() else path)
    before, lattice = facts["config"], Lattice(facts["config"]["lattice"]["shape"])
    for what, here, there in (
        ("flow", config.flow.name, before["flow"]["name"]),
        ("number of dimensions", flow.lattice.d, lattice.d),
    ):
        if here != there:
            raise ConfigError(f"training.init_from must name weights of the same {what}: here {here!r}, in {path} {there!r}")
    assign(flow.named_variables(), flow.carried_over(arrays, lattice))
    summary = Summary(**facts["summary"])
    return summary.seconds + summary.earlier_seconds


class _Loop:
    """The state of a training and what is done with it."""

    def __init__(
        self,
        config: RunConfig,
        run: RunDirectory,
        flow: Flow,
        action: ScalarPhi4,
        step: TrainingStep,
        strategy: tf.distribute.Strategy,
        progress: Progress,
    ):
        self._config, self._training, self._seed, self._run, self._view = config, config.training, config.seed, run, progress
        self._flow, self._action, self._train_step, self._strategy = flow, action, step, strategy
        self._sampler = WeightedSampler(flow, action, _EVALUATION_BATCH, config.seed)
        self._finer_sampler = self._sampler.refined()
        self._checkpoints = Checkpoints(run.path / "checkpoints")
        self._rate = learning_rate_schedule(config.training)
        self._facts: dict[str, Any] = {
            "step": 0,
            "seconds": 0.0,
            "compile_seconds": 0.0,
            "earlier_seconds": 0.0,
            "halvings": 0,
            "rows": [],
        }
        self.best_weights: dict[str, np.ndarray] = {}

    def restore(self) -> bool:
        """Takes up the newest readable checkpoint, and returns whether there is one."""
        found = self._checkpoints.latest(self._view.info)
        if found is None:
            return False
        arrays, self._facts = found
        for _ in range(self._facts["halvings"]):
            self._refine()
        state = self._state()
        assign(state, {name: arrays[name] for name in state if name in arrays})
        self.best_weights = {name.removeprefix("best/"): array for name, array in arrays.items() if name.startswith("best/")}
        if self._best_row()["step"] == self._facts["step"]:
            self.best_weights = self._weights()
        changes = "".join(f", {key} {now} instead of {was}" for key, (was, now) in self._run.changed.items())
        self._view.info(f"resuming at step {self._facts['step']}{changes}")
        return True

    def begin(self, earlier_seconds: float) -> None:
        """Starts with the weights that the flow has, which took so much training time before."""
        self._facts["earlier_seconds"] = earlier_seconds
        self.best_weights = self._weights()

    def run(self) -> Summary:
        """Trains until a reason to stop, then writes the weights of the best model."""
        facts = self._facts
        stopped = self._reason_to_stop()
        if stopped is None:
            self._compile()
        with self._progress.bar("training", self._training.steps, facts["step"]) as bar:
            losses: list[float] = []
            start = time.perf_counter() - facts["seconds"]
            while stopped is None:
                loss = self._train_step(sub_seed(self._seed, "training", facts["step"]), self._objective())
                if not np.isfinite(loss):
                    raise TrainingDiverged(self._diverged(loss))
                losses.append(loss)
                facts["step"] += 1
                bar.advance(status=self._status(loss))
                if facts["step"] % self._training.evaluate_every == 0 or facts["step"] == self._training.steps:
                    facts["seconds"] = time.perf_counter() - start
                    compiled = facts["compile_seconds"]
                    self._evaluate(losses)
                    losses = []
                    start += facts["compile_seconds"] - compiled
                    facts["seconds"] = time.perf_counter() - start
                    stopped = self._reason_to_stop()
        best = self._best_row()
        summary = Summary(
            steps=facts["step"],
            seconds=facts["seconds"],
            compile_seconds=facts["compile_seconds"],
            parameters=self._flow.number_of_parameters(),
            acceptance=best["acceptance"],
            ess=best["ess"],
            stopped=stopped,
            earlier_seconds=facts["earlier_seconds"],
        )
        # The weights say how they came about, so that the file can go its own way.
        facts = {"summary": summary._asdict(), "config": self._config.model_dump(mode="json"), "command": sys.argv}
        write_arrays(self._run.path / WEIGHTS, self.best_weights, facts)
        self._view.info(
            f"trained {summary.steps} steps in {summary.seconds:.0f} s (compilation {summary.compile_seconds:.0f} s apart): "
            f"{stopped}; best model at step {best['step']}, acceptance {best['acceptance']:.3f}, ESS {best['ess']:.3f}"
        )
        return summary

    def _compile(self) -> None:
        """Traces and compiles before the clock starts; the state is put back as it was."""
        self._view.info("compiling the training step and the sampler with XLA ...")
        start = time.perf_counter()
        before = {name: value.numpy() for name, value in self._state().items()}
        for objective in {self._objective(), "reverse KL"}:
            self._train_step(sub_seed(self._seed, "compilation"), objective)
        assign(self._state(), before)
        for sampler in filter(None, (self._sampler, self._finer_sampler)):
            next(sampler.batches(_EVALUATION_BATCH, "compilation"))
        self._facts["compile_seconds"] += time.perf_counter() - start

    def _objective(self) -> str:
        return "absolute error" if self._facts["step"] < self._training.absolute_error_steps else "reverse KL"

    def _evaluate(self, losses: list[float]) -> None:
        """Judges the model on fresh samples, with half the step if it must be, writes metrics and a checkpoint, keeps the best."""
        facts = self._facts
        log_weight, error = self._judged(losses)
        row = {
            "step": facts["step"],
            "loss": float(np.mean(losses)),
            "ess": effective_sample_size(log_weight),
            "acceptance": expected_acceptance(log_weight),
            "log_z": log_z(log_weight)[0],
            "integration_error": error,
            "learning_rate": float(self._rate(facts["step"] - 1)),
            "seconds": facts["seconds"],
        }
        best_before = self._best_row()
        facts["rows"].append(row)
        arrays = {name: value.numpy() for name, value in self._state().items()}
        if best_before is None or row["ess"] > best_before["ess"]:
            self.best_weights = self._weights()
        else:
            arrays |= {f"best/{name}": array for name, array in self.best_weights.items()}
        self._run.write_text("metrics.csv", _table(facts["rows"]))
        self._checkpoints.save(facts["step"], arrays, facts)
        if not self._view.console.is_terminal:
            self._view.info(f"step {facts['step']}: {self._status(row['loss'])}, {facts['seconds']:.0f} s")

    def _judged(self, losses: list[float]) -> tuple[np.ndarray, float]:
        """The log weights of fresh samples and how much half the step changes them; goes over to half the step if that is too much.

        Args:
          losses: of the steps since the last time, with the present step of the integration.
        """
        facts, samples = self._facts, self._training.evaluation_samples
        start = len(facts["rows"]) * -(-samples // _EVALUATION_BATCH)
        log_weight = self._sampler.log_weights(samples, "evaluation", start)
        if not np.all(np.isfinite(log_weight)):
            raise TrainingDiverged(self._diverged(float("nan")))
        if self._finer_sampler is None:
            return log_weight, 0.0
        finer = self._finer_sampler.log_weights(_INTEGRATION_SAMPLES, "evaluation", start)
        error = integration_error(log_weight[: len(finer)], finer)["mean"]
        # By quartiles: a few outliers must not hide an error.
        spread = np.subtract(*np.quantile(log_weight, [0.75, 0.25])) / 1.349
        log_z_finer, bound_error = log_z(finer)
        bound = -log_z_finer
        exploited = bool(losses) and np.mean(losses) < bound - _SIGMAS * np.hypot(
            bound_error, np.std(losses) / np.sqrt(len(losses))
        )
        if not exploited and error <= _LARGEST_SHARE * spread:
            return log_weight, error
        wrong = f"at step {facts['step']}, half the step of the integration changes log weights by {error:.2g}"
        if exploited:
            wrong += (
                f", and the loss {np.mean(losses):.3f} is below its bound -log Z = {bound:.3f}: training exploits the integrator"
            )
        if facts["halvings"] == _MOST_HALVINGS:
            raise TrainingDiverged(
                f"{wrong}; {_MOST_HALVINGS} halvings were not enough. Try training.gradient: path, or more flow.steps"
            )
        self._view.info(f"{wrong}; going on with half of it{', from the best model before' if exploited else ''}")
        if exploited:
            assign(self._flow.named_variables(), self.best_weights)
        facts["halvings"] += 1
        self._refine()
        self._compile()
        return self._judged([])

    def _refine(self) -> None:
        """Goes over to half the step of the integration."""
        self._sampler, self._finer_sampler = self._finer_sampler, self._finer_sampler.refined()
        self._flow = self._sampler.flow
        self._train_step = TrainingStep(
            self._flow, self._action, self._training, self._strategy, optimizer=self._train_step.optimizer
        )

    def _reason_to_stop(self) -> str | None:
        training, rows = self._training, self._facts["rows"]
        if rows and training.target_acceptance is not None and self._best_row()["acceptance"] >= training.target_acceptance:
            return f"acceptance reached {training.target_acceptance}"
        if self._facts["step"] >= training.steps:
            return "all steps done"
        if rows and training.max_minutes is not None and self._facts["seconds"] >= 60 * training.max_minutes:
            return f"{training.max_minutes:g} minutes are over"
        return None

    def _best_row(self) -> dict[str, float] | None:
        return max(self._facts["rows"], key=lambda row: row["ess"], default=None)

    def _weights(self) -> dict[str, np.ndarray]:
        return {name: variable.numpy() for name, variable in self._flow.named_variables().items()}

    def _state(self) -> dict[str, tf.Variable]:
        """All variables of flow and optimiser."""
        optimizer = {f"{_OPTIMIZER}/{i}": variable for i, variable in enumerate(self._train_step.optimizer.variables)}
        return self._flow.named_variables() | optimizer

    def _status(self, loss: float) -> str:
        rows = self._facts["rows"]
        judged = f", ESS {rows[-1]['ess']:.3f}, acceptance {rows[-1]['acceptance']:.3f}" if rows else ""
        return f"loss {loss:.3f}{judged}"

    def _diverged(self, loss: float) -> str:
        last = self._facts["rows"][-1]["step"] if self._facts["rows"] else None
        kept = f"the state of step {last} is kept" if last else "no evaluation had been reached, so nothing was kept"
        return (
            f"the loss became {loss} at step {self._facts['step']}; {kept}. "
            f"Go on from there, or start again, with a smaller training.learning_rate (now {self._training.learning_rate:g}) "
            f"or a larger training.batch_size (now {self._training.batch_size})"
        )


def _table(rows: list[dict[str, float]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
