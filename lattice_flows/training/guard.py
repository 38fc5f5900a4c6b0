"""Training steps that lead astray are taken back, and averages that do are begun anew."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from lattice_flows.flows import Flow, assign
from lattice_flows.training import vectors
from lattice_flows.training.optimizers import Optimizer

if TYPE_CHECKING:
    from lattice_flows.training.state import TrainingState

__all__ = ["LEFT_OUT", "TAKEN_BACK", "Guarded", "begin_averages_anew"]

TAKEN_BACK, LEFT_OUT = "the last step is taken back", "no step is made, since the gradient is not finite"

# A step leads astray if the loss rises by more than this, and by more than so many standard errors of it.
_LARGEST_RISE, _SIGMAS = 1.0, 10.0
# What a step that leads astray makes of the next ones, and what each of these makes of those after it, up to the full length.
_SHORTER, _LONGER = 0.5, 1.1
_RISE_SIGMAS = 5.0  # by which the divergence has risen where averages lead astray
_ANY = np.finfo(np.float64).max  # the limit of the loss before there is one; checkpoints hold finite numbers


class Guarded:
    """An optimiser, one step of which is taken back where the next batch shows that the loss has become much larger.

    A step in a metric that is known from few samples, or at too large a learning rate, can lose all that a flow has learned. The
    weights then go back to where they were, and the next steps are half as long; every step from there on lets them grow again. The
    loss is the reverse Kullback-Leibler divergence up to log Z, so a rise by 1 is a catastrophe for a flow that is worth training.

    Args:
      optimizer: makes the steps.
      weights: of the flow, float32 variables.

    Attributes:
      optimizer: as given.
      needs_fisher, averages_gradients: see `Optimizer`.
      variables: the state, first that of the optimiser.
    """

    def __init__(self, optimizer: Optimizer, weights: Sequence[tf.Variable]):
        self.optimizer, self._weights = optimizer, weights
        self.needs_fisher, self.averages_gradients = optimizer.needs_fisher, optimizer.averages_gradients
        self._before = tf.Variable(vectors.joined(weights), name="before")
        self._limit = tf.Variable(_ANY, dtype=tf.float64, name="limit")
        self._length = tf.Variable(1.0, name="length")
        self.variables = [*optimizer.variables, self._before, self._limit, self._length]

    @property
    def length(self) -> float:
        """The length of steps, relative to those of the optimiser."""
        return float(self._length.numpy())

    def forget(self) -> None:
        """Lets the next step begin anew, after the weights or the loss have changed by other means. Call it eagerly."""
        self._limit.assign(_ANY)
        self.optimizer.forget()

    def apply(self, loss: tf.Tensor, error: tf.Tensor, parts: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Makes a step, or takes the last one back. Call it like `Optimizer.apply`.

        A gradient that is not finite never reaches the optimiser, whose averages would keep it: where there is no step to take
        back, none is made.

        Args:
          loss: mean over the batch, before this step.
          error: its standard error.
          parts: what the optimiser takes.

        Returns:
          whether the last step was taken back, and whether none was made.
        """
        sound, limit = _sound(parts), loss + _LARGEST_RISE + _SIGMAS * error
        astray = self._is_astray(loss) | (self._is_known() & ~sound)
        tf.cond(astray, self._take_back, lambda: tf.cond(sound, lambda: self._go_on(limit, parts), self._leave_out))
        return astray, ~(astray | sound)

    def unguarded(self, parts: Sequence[tf.Tensor]) -> tf.Tensor:
        """Makes a step that the next loss does not judge, as when the two cannot be compared; returns whether none was made."""
        sound = _sound(parts)
        tf.cond(sound, lambda: self._go_on(tf.constant(_ANY, tf.float64), parts), self._leave_out)
        return ~sound

    def judge(self, loss: float) -> bool:
        """Takes the last step back where it led to a loss that is too large, and returns whether it did. Call it eagerly."""
        astray = bool(self._is_astray(loss))
        if astray:
            self._take_back()
        return astray

    def _is_known(self) -> tf.Tensor:
        return self._limit < _ANY

    def _is_astray(self, loss: Any) -> tf.Tensor:
        return self._is_known() & ~(loss <= self._limit)  # so a loss that is no number is astray, too

    def _take_back(self) -> tf.Tensor:
        self._assign(self._before)
        self._length.assign(_SHORTER * self._length)
        # The next loss, of the same weights as the one before, is the new reference: that one may have been low by chance.
        self._limit.assign(_ANY)
        return tf.constant(0)

    def _leave_out(self) -> tf.Tensor:
        self._limit.assign(_ANY)
        self._length.assign(_SHORTER * self._length)
        return tf.constant(0)

    def _go_on(self, limit: tf.Tensor, parts: Sequence[tf.Tensor]) -> tf.Tensor:
        self._before.assign(vectors.joined(self._weights))
        self._limit.assign(limit)
        self.optimizer.apply(*parts)
        tf.cond(self._length < 1, self._shorten, lambda: tf.constant(0))
        return tf.constant(0)

    def _shorten(self) -> tf.Tensor:
        self._assign(self._before + self._length * (vectors.joined(self._weights) - self._before))
        self._length.assign(tf.minimum(_LONGER * self._length, 1.0))
        return tf.constant(0)

    def _assign(self, joined: tf.Tensor) -> None:
        for weight, part in vectors.parts(joined, self._weights):
            weight.assign(part)


def _sound(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.math.is_finite(tf.add_n([tf.reduce_sum(part) for part in parts]))


def begin_averages_anew(flow: Flow, optimizer: Guarded, state: "TrainingState", info: Callable[[str], None]) -> None:
    """Takes a flow back to its best model where averages of gradients have led it astray, and begins these anew.

    They are carried on by a Fisher matrix of the past, so a flow that changes much is pushed by gradients of another one, farther
    and farther. A single step shows nothing; a divergence that has risen by five standard errors since the best evaluation does.
    The matrix is kept, since it is as good as in any training without gradients of the past.

    Args:
      flow: in training, just evaluated.
      optimizer: its optimiser; nothing happens unless it averages gradients.
      state: of the training, which the last evaluation is part of.
      info: receives a line of text.
    """
    last, best = state.evaluations[-1], state.best
    if best is None or not optimizer.averages_gradients:
        return
    if last.kl - best.kl > _RISE_SIGMAS * math.hypot(last.kl_error, best.kl_error):
        found = f"the divergence has risen from {best.kl:.3g} to {last.kl:.3g}"
        info(f"at step {state.step}, {found}: back to the weights of step {best.step}, and to a new average of the gradient")
        assign(flow.named_variables(), state.best_weights)
        optimizer.forget()
        state.take(flow, optimizer)
