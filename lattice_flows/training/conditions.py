"""The couplings that the training of a conditioned flow goes through.

Every step has one coupling. Step t has the fractional part of `u + t g` of the range, with g the golden ratio and u from a
sub-seed, so any few successive steps cover the whole of it, which the average of Fisher's matrix relies on. The distance between
successive knots counts as the same. Evaluations go through the middle between successive knots, where the weights are interpolated
farthest, and both ends.
"""

import math
from collections.abc import Iterator

import numpy as np

from lattice_flows.actions import Action
from lattice_flows.config import ConfigError
from lattice_flows.flows import Flow
from lattice_flows.seeds import generator

__all__ = ["Conditions"]

_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


class Conditions:
    """Sets the coupling of a conditioned flow; for all other flows it does nothing.

    Args:
      flow: to train.
      action: its target; of a conditioned flow, with any coupling in its range.
      seed: master seed.

    Attributes:
      action: the target at the flow's present coupling.

    Raises:
      ConfigError: the action does not have the parameter that the flow is conditioned on, its value is out of the flow's range, or
        the action refuses the value at a knot.
    """

    def __init__(self, flow: Flow, action: Action, seed: int):
        self._flow, self.action, self.own = flow, action, None
        if flow.condition is not None:
            try:
                self.action = action.varied(flow.condition, flow.coupling)
                self.own = action.parameters[flow.condition]
                flow.set_coupling(self.own)
            except ValueError as error:
                raise ConfigError(str(error)) from None
            for knot in map(float, flow.knots):
                try:
                    action.at(**{flow.condition: knot})
                except ValueError as error:
                    raise ConfigError(
                        f"the flow has the knot {flow.condition} = {knot:g}, where there is no action: {error}"
                    ) from None
            self._offset = generator(seed, "conditions").uniform()

    def begin_step(self, step: int, *, own: bool = False) -> None:
        """Sets the coupling of a step, or that of the action itself for a step on samples of the target."""
        if own:
            self.settle()
        elif self.own is not None:
            knots = self._flow.knots
            share = (self._offset + step * _GOLDEN_RATIO) % 1
            self._flow.set_coupling(np.interp(share * (len(knots) - 1), np.arange(len(knots)), knots))

    def each(self) -> Iterator[float]:
        """Sets one coupling of an evaluation after the other, and yields it; NaN, once, for a flow without condition."""
        if self.own is None:
            yield math.nan
            return
        knots = self._flow.knots
        for value in (knots[0], *(knots[:-1] + knots[1:]) / 2, knots[-1]):
            self._flow.set_coupling(value)
            yield float(value)
        self.settle()

    def settle(self) -> None:
        """Sets the coupling of the action itself."""
        if self.own is not None:
            self._flow.set_coupling(self.own)
