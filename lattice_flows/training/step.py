"""One optimisation step, compiled, on one or several devices."""

from typing import Any

import numpy as np
import tensorflow as tf

from lattice_flows.actions import Action
from lattice_flows.config import ConfigError, TrainingConfig
from lattice_flows.flows import Flow
from lattice_flows.training.chunks import in_chunks
from lattice_flows.training.objectives import ESTIMATORS, LOSSES
from lattice_flows.training.optimizers import OPTIMIZERS, Optimizer
from lattice_flows.training.schedules import learning_rate_schedule

__all__ = ["TrainingStep", "loss_at"]


def loss_at(settings: TrainingConfig, step: int) -> str:
    """The name of the loss that a step uses: `initial_loss` in the first `initial_loss_steps` steps, `loss` from then on."""
    return settings.initial_loss if settings.initial_loss and step < settings.initial_loss_steps else settings.loss


class TrainingStep:
    """One optimisation step, split over the replicas of a strategy.

    The batch of prior samples depends on the seed alone, and every replica transforms its share of it. So the number of devices
    does not change the result.

    Args:
      flow: built under `strategy.scope()`.
      action: `phi [batch, *shape] -> [batch]`.
      settings: of the training.
      strategy: the devices.
      optimizer: that of an earlier step for the same weights, to continue with its state.

    Raises:
      ConfigError: the batch cannot be split evenly, or an unknown loss, estimator or optimiser.
    """

    def __init__(
        self,
        flow: Flow,
        action: Action,
        settings: TrainingConfig,
        strategy: tf.distribute.Strategy,
        optimizer: Optimizer | None = None,
    ):
        replicas, batch = strategy.num_replicas_in_sync, settings.batch_size
        if batch % replicas:
            raise ConfigError(f"training.batch_size must be a multiple of the {replicas} devices, got {batch}")
        share = batch // replicas
        losses = {name: LOSSES.find(name) for name in (settings.loss, settings.initial_loss) if name}
        estimator = in_chunks(ESTIMATORS.find(settings.gradient), share, flow.lattice.volume)
        self.loss = settings.loss
        self.rate = learning_rate_schedule(settings)
        with strategy.scope():
            self.optimizer = optimizer or OPTIMIZERS.build(settings.optimizer, flow.trainable_variables, self.rate)

        @tf.function(jit_compile=True)
        def estimate(seed: tf.Tensor, replica: Any, loss: str) -> list[tf.Tensor]:
            def draw():
                z = flow.prior.sample(batch, seed=seed)[replica * share : (replica + 1) * share]
                # Drawn in float64 (XLA's float32 normals are ten times slower), mapped in the precision that a gradient needs.
                return tf.ensure_shape(tf.cast(z, tf.float32), [share, *flow.lattice.shape])

            found = estimator(flow, action, draw, with_fisher=self.optimizer.needs_fisher, loss=losses[loss])
            # They are summed over replicas, so each is divided by the whole batch.
            return [part / batch for part in found if part is not None]

        def replica_step(seed: tf.Tensor, loss: str) -> list[tf.Tensor]:
            return estimate(seed, tf.distribute.get_replica_context().replica_id_in_sync_group, loss)

        @tf.function
        def step(seed: tf.Tensor, loss: str) -> tf.Tensor:
            mean, *parts = (strategy.reduce("SUM", part, axis=None) for part in strategy.run(replica_step, (seed, loss)))
            with strategy.scope():
                self.optimizer.apply(*parts)
            return mean

        self._step = step

    def __call__(self, seed: np.ndarray, loss: str | None = None) -> float:
        """Makes one step.

        Args:
          seed: stateless seed of the batch, int32 `[2]`.
          loss: name of the loss, `settings.loss` if None.

        Returns:
          the mean of `log q + S` before the step, whichever loss is used.
        """
        return float(self._step(tf.constant(seed), loss or self.loss))
