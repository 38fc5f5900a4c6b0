"""The training loop: stochastic descent on a loss of the flow's own samples, on one or several devices."""

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from lattice_flows.actions import Action
from lattice_flows.config import TrainingConfig
from lattice_flows.flows import Flow, assign
from lattice_flows.io.runs import RunDirectory
from lattice_flows.progress import Progress
from lattice_flows.seeds import sub_seed
from lattice_flows.training import stopping
from lattice_flows.training.conditions import Conditions
from lattice_flows.training.devices import strategy_of
from lattice_flows.training.evaluation import Evaluator, described, evaluate, with_forward, worst
from lattice_flows.training.forward import ForwardSamples
from lattice_flows.training.guard import TAKEN_BACK, Guarded, begin_averages_anew
from lattice_flows.training.judgement import conclusion, fall_of_ess
from lattice_flows.training.records import CHECKPOINTS, Board, Records
from lattice_flows.training.refinement import check_integration, halve_the_step
from lattice_flows.training.stages import begin_with
from lattice_flows.training.state import Summary, TrainingState
from lattice_flows.training.step import FORWARD_KL, TrainingStep, loss_at, losses_from

__all__ = ["Trainer", "train"]


def train(
    flow: Flow,
    action: Action,
    settings: TrainingConfig,
    *,
    seed: int = 1,
    strategy: tf.distribute.Strategy | None = None,
    run: RunDirectory | None = None,
    progress: Progress | None = None,
    record: Mapping[str, Any] | None = None,
) -> Summary:
    """Trains a flow in place, and leaves it with the best weights and the accepted integration steps.

    The best model is that of the smallest Kullback-Leibler divergence, see `evaluation`; weights to begin with
    (`settings.init_from`, or a flow that is trained already) are judged first, and kept where no later ones are better. The summary
    judges it by fresh samples.

    All random numbers follow from the seed: neither interruptions nor, see `TrainingStep`, the number of devices change the result.
    A flow that is trained already goes on with the batches after those that it has seen.

    The step of a continuous flow is halved as soon as that matters: when it changes the log weights by a tenth of their spread or
    more, or when the loss lies below its bound `-log Z`, because training then exploits the integrator. In the second case it
    continues from the best model so far. A step after which the loss is much larger is taken back, see `guard`.

    `lattice_flows.train` is the same with settings as keywords.

    Args:
      flow: the flow to train.
      action: `phi [batch, *shape] -> [batch]`.
      settings: of the training.
      seed: master seed.
      strategy: the devices; None for those that hold the flow. With several devices, build the flow under `strategy.scope()`.
      run: where to write metrics, steps, checkpoints and `weights.npz`; one with checkpoints is resumed. None writes nothing.
      progress: where progress is shown; None for silence.
      record: what `weights.npz` keeps besides the weights, such as the configuration.

    Raises:
      ConfigError: settings that cannot be used, or samples of another target.
      RunError: the run directory cannot be written.
      CheckpointError: every checkpoint is damaged, or the weights to begin with are missing or do not fit.
      TrainingDiverged: steps that lead astray at any length, or an integrator that is exploited at every step size.
    """
    trainer = Trainer(flow, action, settings, seed=seed, strategy=strategy, progress=progress)
    if run is None or not trainer.restore(run):
        trainer.begin_with(settings.init_from)
    return trainer.run(run, record)


class Trainer:
    """A training, from its settings to its summary. Use `train`, unless something has to happen in between.

    The constructor takes the arguments of `train`, checks that everything can be built, with the same errors, and writes nothing.
    """

    def __init__(
        self,
        flow: Flow,
        action: Action,
        settings: TrainingConfig,
        *,
        seed: int = 1,
        strategy: tf.distribute.Strategy | None = None,
        progress: Progress | None = None,
    ):
        self._conditions = Conditions(flow, action, seed)
        self._flow, self._action, self._settings, self._seed = flow, self._conditions.action, settings, seed
        self._strategy = strategy or strategy_of(flow.variables)
        self._progress = progress or Progress(quiet=True)
        samples = settings.forward_samples
        self._forward = ForwardSamples(samples, action, trained_on=settings.forward_share > 0) if samples else None
        self._train_step = self._step_of()
        self._state = TrainingState()
        self._evaluator: Evaluator | None = None

    def _step_of(self, optimizer: Guarded | None = None) -> TrainingStep:
        target = self._forward.fields if self._forward is not None and self._settings.forward_share else None
        return TrainingStep(self._flow, self._action, self._settings, self._strategy, optimizer, target)

    def begin_with(self, path: str | None) -> None:
        """Takes the weights of an earlier run, if any, see `stages.begin_with`; they are evaluated before the first step."""
        if path is not None:
            self._state.earlier_seconds = begin_with(self._flow, path)
            self._conditions.settle()

    def restore(self, run: RunDirectory) -> bool:
        """Restores the newest readable checkpoint of a run, and returns whether there is one.

        Raises:
          CheckpointError: all are damaged, or belong to another version or flow.
        """
        state = TrainingState.latest(run.path / CHECKPOINTS, self._progress.info)
        if state is None:
            return False
        state.give(self._flow, self._train_step.optimizer)
        self._state = state
        state.judgement = None if run.changed else state.judgement  # such as the number of samples
        changes = "".join(f", {key} {now} instead of {was}" for key, (was, now) in run.changed.items())
        self._progress.info(f"resuming at step {state.step}{changes}")
        return True

    def run(self, run: RunDirectory | None = None, record: Mapping[str, Any] | None = None, board: Board | None = None) -> Summary:
        """Trains until there is a reason to stop, and shows that on a board. For arguments, results and errors see `train`."""
        state, settings = self._state, self._settings
        if not state.evaluations:
            state.take(self._flow, self._train_step.optimizer)
            state.best_weights, state.earlier_steps = state.weights, self._flow.trained_steps or 0
        stopped = stopping.reason_to_stop(settings, state)
        self._records = Records(run, record, board)
        try:
            if stopped is None:
                with self._records.of_steps(state.step):
                    stopped = self._train()
        finally:  # after errors and interruptions, too
            assign(self._flow.named_variables(), state.best_weights)
            self._flow.trained_steps = state.trained_steps or self._flow.trained_steps
        return self._finish(stopped)

    def _train(self) -> str:
        """Makes steps, and returns the reason to stop."""
        state, settings, stopped = self._state, self._settings, None
        losses: list[float] = []
        self._start = time.perf_counter() - state.seconds
        self._prepare()
        if self._flow.trained_steps is not None and not state.evaluations:
            with stopping.may_be_broken_at_first(self._progress.info):
                self._evaluate([])
            stopped = stopping.reason_to_stop(settings, state)
        with self._progress.bar("training", settings.steps, state.step, at_most=stopping.seconds_left(settings, state)) as bar:
            while stopped is None:
                forward = (name := loss_at(settings, state.step)) == FORWARD_KL
                self._conditions.begin_step(state.trained_steps, own=forward)
                loss = self._train_step(sub_seed(self._seed, "training", state.trained_steps), name)
                unknown = self._undid(loss, self._train_step.undone) or forward
                losses += [] if unknown else [loss]
                state.step += 1
                self._records.step(state.step, math.nan if unknown else loss, time.perf_counter() - self._start)
                bar.advance(status=", ".join([f"loss {loss:.3f}", *map(described, state.evaluations[-1:])]))
                if state.step % settings.evaluate_every == 0 or state.step == settings.steps:
                    self._evaluate(losses)
                    losses = []
                    stopped = stopping.reason_to_stop(settings, state)
        return stopped

    def _prepare(self) -> None:
        """Traces and compiles step and sampler for the current integration steps. The clock of the training stands meanwhile."""
        before = time.perf_counter()
        self._train_step.prepare(losses_from(self._settings, self._state.step), sub_seed(self._seed, "compilation"), self._progress)
        self._prepare_evaluator()
        self._state.compile_seconds += (took := time.perf_counter() - before)
        self._start += took

    def _prepare_evaluator(self) -> None:
        self._evaluator = Evaluator(self._flow, self._action, self._settings.evaluation_samples, self._seed, self._forward)
        with self._progress.working("compiling the sampler"):
            self._evaluator.compile()

    def _evaluate(self, losses: list[float]) -> None:
        """Evaluates the model on fresh samples, halving the step where necessary, and saves state and metrics.

        Of a conditioned flow, the coupling where it is farthest from the target counts, and the loss is that of its samples.
        """
        state, rows = self._state, []
        state.seconds = time.perf_counter() - self._start
        recorded = {"learning_rate": self._train_step.last_rate, "seconds": state.seconds, "step": state.step}
        with self._progress.meanwhile("evaluating"):
            for coupling in self._conditions.each():
                seen = [] if self._flow.condition else losses
                w, error = self._accurate_log_weights(seen)
                rows.append(evaluate(w, losses=seen or -w, integration_error=error, condition=coupling, **recorded))
            row = with_forward(worst(rows), self._evaluator.forward_log_weights())
        state.take(self._flow, self._train_step.optimizer)
        state.record(row)
        if fall := fall_of_ess(state.evaluations):
            self._progress.info(f"at step {state.step}, {fall}")
        shown = self._records.fields(state, self._evaluator)
        begin_averages_anew(self._flow, self._train_step.optimizer, state, self._progress.info)
        self._records.evaluation(state, shown)
        if not self._progress.is_live:
            self._progress.info(f"step {state.step}: loss {row.loss:.3f}, {described(row)}, {state.seconds:.0f} s")
        state.seconds = time.perf_counter() - self._start

    def _accurate_log_weights(self, losses: list[float]) -> tuple[np.ndarray, float]:
        """The log weights of fresh samples, and how much half the step of the integration changes them.

        Halves the step until that change is small.

        Args:
          losses: of the steps since the previous evaluation, with the present step of the integration.
        """
        state = self._state
        while True:
            log_weight, finer = self._evaluator.log_weights(len(state.evaluations))
            loss = -float(np.mean(log_weight))
            if self._undid(loss, TAKEN_BACK if self._train_step.optimizer.judge(loss) else None):
                continue
            if finer is None:
                return log_weight, 0.0
            check = check_integration(log_weight, finer, losses, self._settings.batch_size)
            # The training of weights to begin with has accepted this step, but on its own lattice; here they may be the last ones.
            if not check.too_coarse or (state.step == 0 and self._settings.target_acceptance is None):
                return log_weight, check.error
            halve_the_step(self._flow, state, check, self._progress.info)
            self._train_step = self._step_of(self._train_step.optimizer)
            self._train_step.optimizer.forget()
            self._prepare()
            losses = []

    def _undid(self, loss: float, undone: str | None) -> bool:
        """Says that a step was taken back or left out, and refuses a loss after which a training cannot go on."""
        if undone:
            self._progress.info(f"at step {self._state.step}, the loss became {loss:.6g}: {undone}")
        stopping.check_loss(loss, self._settings, self._state, self._train_step.optimizer.length if undone else None)
        return undone is not None

    def _finish(self, stopped: str) -> Summary:
        state = self._state
        if state.judgement is None:
            if self._evaluator is None:
                self._prepare_evaluator()
            with self._progress.meanwhile("judging the best model by fresh samples"):
                state.judgement = self._evaluator.judgement(state.best, self._conditions.each())
            self._records.checkpoint(state)
        summary = state.summary(self._flow.number_of_parameters(), stopped)
        self._records.weights(self._flow, summary)
        for line in conclusion(summary, state.judgement):
            self._progress.info(line)
        return summary
