"""One optimisation step, compiled, on one or several devices."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from lattice_flows.actions import Action
from lattice_flows.config import ConfigError, TrainingConfig
from lattice_flows.flows import Flow, without_even_sites
from lattice_flows.progress import Progress
from lattice_flows.training.chunks import at_once, in_chunks
from lattice_flows.training.guard import LEFT_OUT, TAKEN_BACK, Guarded
from lattice_flows.training.objectives import ESTIMATORS, LOSSES, absolute_error, forward_kl, reverse_kl
from lattice_flows.training.optimizers import OPTIMIZERS
from lattice_flows.training.schedules import learning_rate_schedule

__all__ = ["FORWARD_KL", "TrainingStep", "loss_at", "losses_from"]

FORWARD_KL = "forward_kl"
_SMALLEST_GUARDED = 16  # samples of a batch


def loss_at(settings: TrainingConfig, step: int) -> str:
    """The name of the loss that a step uses.

    It is `initial_loss` in the first `initial_loss_steps` steps, `loss` from then on, and in an evenly spread share of the steps,
    `forward_share`, forward KL.
    """
    share = settings.forward_share
    if math.floor((step + 1) * share) > math.floor(step * share):
        return FORWARD_KL
    return settings.initial_loss if settings.initial_loss and step < settings.initial_loss_steps else settings.loss


def losses_from(settings: TrainingConfig, step: int) -> list[str]:
    """The names of all losses from a step on."""
    own = settings.model_copy(update={"forward_share": 0.0})
    names = dict.fromkeys(loss_at(own, number) for number in (step, settings.steps))
    return [*names, *([FORWARD_KL] if settings.forward_share else [])]


class TrainingStep:
    """One optimisation step, split over the replicas of a strategy, which is taken back where it leads astray, see `Guarded`.

    Only steps down reverse KL of one target are guarded, in batches whose noise is known: other losses may let reverse KL rise, and
    those at different couplings of a conditioned flow cannot be compared.

    The batch of prior samples depends on the seed alone, and every replica transforms its share of it. So the number of devices
    does not change the result, but for `absolute_error`, which estimates log Z from the share of each replica. Of a marginalized
    flow, which draws the even sites exactly, the odd sites are all that is computed.

    Args:
      flow: built under `strategy.scope()`.
      action: `phi [batch, *shape] -> [batch]`.
      settings: of the training.
      strategy: the devices.
      optimizer: that of an earlier step for the same weights, to continue with its state.
      target: samples of the target `[n, *shape]`, for steps of forward KL.

    Attributes:
      optimizer: as given, or built from the settings.
      undone: `TAKEN_BACK` where the last call found that the step before it had led astray, and took that back, `LEFT_OUT` where it
        made no step, because the gradient was not finite although the loss was; None otherwise.

    Raises:
      ConfigError: the batch cannot be split evenly, an unknown loss, estimator or optimiser, an averaged gradient of another loss
        than reverse KL, a warm-up of all steps, or `only` names no weight.
    """

    def __init__(
        self,
        flow: Flow,
        action: Action,
        settings: TrainingConfig,
        strategy: tf.distribute.Strategy,
        optimizer: Guarded | None = None,
        target: np.ndarray | None = None,
    ):
        replicas, batch = strategy.num_replicas_in_sync, settings.batch_size
        if batch % replicas:
            raise ConfigError(f"training.batch_size must be a multiple of the {replicas} devices, got {batch}")
        share = batch // replicas
        losses = {name: LOSSES.find(name) for name in (settings.loss, settings.initial_loss) if name}
        part, part_action, part_of = without_even_sites(flow, action)
        estimator = in_chunks(ESTIMATORS.find(settings.gradient), share, part.lattice.volume)
        forward = in_chunks(forward_kl, share, part.lattice.volume)
        self.loss = settings.loss
        self.undone: str | None = None
        self._rate = learning_rate_schedule(settings)
        with strategy.scope(), part.training_only(settings.only):
            weights = part.trained
            self.optimizer = optimizer or Guarded(OPTIMIZERS.build(settings.optimizer, weights, self._rate), weights)
        others = [name for name, loss in losses.items() if loss is not reverse_kl] + [FORWARD_KL] * (settings.forward_share > 0)
        if self.optimizer.averages_gradients and others:
            raise ConfigError(f"training.optimizer.averaged_gradient is for the loss reverse_kl alone, got {', '.join(others)}")
        if 0 < settings.steps <= (warm_up := self.optimizer.optimizer.warm_up):
            raise ConfigError(
                f"training.optimizer.warm_up {warm_up} leaves none of the {settings.steps} steps to change weights: use more "
                "training.steps, or a smaller warm_up"
            )
        if absolute_error in losses.values() and at_once(share, part.lattice.volume) == 1:
            raise ConfigError(
                f"the loss absolute_error compares samples of a batch, which are computed one by one on the lattice "
                f"{flow.lattice.shape}: use reverse_kl"
            )
        self._variables = [*weights, *self.optimizer.variables]

        @tf.function(jit_compile=True)
        def estimate(seed: tf.Tensor, replica: Any, loss: str) -> list[tf.Tensor]:
            def draw() -> tf.Tensor:
                z = flow.prior.sample(batch, seed=seed)[replica * share : (replica + 1) * share]
                # Drawn in float64 (XLA's float32 normals are ten times slower), mapped in the precision that a gradient needs.
                return part_of(tf.ensure_shape(tf.cast(z, tf.float32), [share, *flow.lattice.shape]))

            def draw_from_target() -> tf.Tensor:
                rows = tf.random.stateless_uniform([batch], seed, maxval=len(target), dtype=tf.int32)
                rows = rows[replica * share : (replica + 1) * share]
                fields = tf.gather(tf.constant(target, tf.float32), rows)
                return part_of(tf.ensure_shape(fields, [share, *flow.lattice.shape]))

            with part.training_only(settings.only):
                if loss == FORWARD_KL:
                    found = forward(part, part_action, draw_from_target, with_fisher=self.optimizer.needs_fisher)
                else:
                    found = estimator(part, part_action, draw, with_fisher=self.optimizer.needs_fisher, loss=losses[loss])
            # They are summed over replicas, so each is divided by the whole batch.
            return [part / batch for part in found if part is not None]

        def replica_step(seed: tf.Tensor, loss: str) -> list[tf.Tensor]:
            return estimate(seed, tf.distribute.get_replica_context().replica_id_in_sync_group, loss)

        @tf.function
        def step(seed: tf.Tensor, loss: str) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            mean, square, *parts = (strategy.reduce("SUM", part, axis=None) for part in strategy.run(replica_step, (seed, loss)))
            with strategy.scope():
                if losses.get(loss) is not reverse_kl or flow.condition is not None or batch < _SMALLEST_GUARDED:
                    return mean, tf.constant(False), self.optimizer.unguarded(parts)
                error = tf.sqrt(tf.maximum(square - mean**2, 0) / (batch - 1))
                return mean, *self.optimizer.apply(mean, error, parts)

        self._step = step

    @property
    def last_rate(self) -> float:
        """The learning rate by the schedule at the last update, or the first where none is made. Taking a step back makes none."""
        return float(self._rate(tf.maximum(self.optimizer.optimizer.updates - 1, 0)))

    def prepare(self, losses: Iterable[str], seed: np.ndarray, progress: Progress) -> None:
        """Makes a step with each of some losses, shows that it is traced and compiled, and takes it back."""
        before = [variable.numpy() for variable in self._variables]
        for loss in losses:
            with progress.working(f"tracing the training step (loss {loss})"):
                self._step.get_concrete_function(tf.constant(seed), loss)
            with progress.working(f"compiling the training step (loss {loss})"):
                self(seed, loss)
        for variable, value in zip(self._variables, before, strict=True):
            variable.assign(value)

    def __call__(self, seed: np.ndarray, loss: str | None = None) -> float:
        """Makes one step.

        Args:
          seed: stateless seed of the batch, int32 `[2]`.
          loss: name of the loss, `settings.loss` if None.

        Returns:
          the mean of `log q + S` before the step, whichever loss is used; of forward KL, over samples of the target.
        """
        mean, taken_back, left_out = self._step(tf.constant(seed), loss or self.loss)
        self.undone = TAKEN_BACK if taken_back else LEFT_OUT if left_out and math.isfinite(mean) else None
        return float(mean)
