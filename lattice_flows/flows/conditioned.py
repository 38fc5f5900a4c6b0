"""One flow for a range of couplings: its weights are piecewise linear functions of a parameter of the action.

    theta(c) = sum_k h_k(c) theta_k,    h_k(c_j) = delta_jk

The theta_k at the knots c_k are the trained weights, and the hat functions h_k interpolate. Gradients and Fisher's matrix with
respect to the theta_k follow by the chain rule.
"""

import itertools
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from pydantic import Field

from lattice_flows.config import Component
from lattice_flows.flows.components import recorded
from lattice_flows.flows.flow import Flow
from lattice_flows.flows.registry import FLOWS
from lattice_flows.flows.weights import assign
from lattice_flows.lattice import Lattice

__all__ = ["ConditionedFlow", "conditioned"]

Knots = Annotated[tuple[float, ...], Field(strict=False, min_length=2)]

AFFINE = Component(name="affine")


class ConditionedFlow(Flow):
    """A flow whose weights depend on a parameter of the action; `conditioned` builds it.

    It is a flow like others, at the present value of the parameter, which `set_coupling` changes in place without another
    compilation. `at` gives a flow of its own for one value.

    Args:
      flow: whose trained variables are `_Interpolated`.
      condition: name of the parameter.
      knots: its values at the knots, `[K]`, ascending.
      hats: the hat functions at its present value, `[K]`.
      build: makes the plain flow with the same parts, with fresh weights.

    Attributes:
      condition, knots: as above.
      coupling: the present value of the parameter, which behaves like a tensor, float64.
    """

    def __init__(self, flow: Flow, condition: str, knots: np.ndarray, hats: tf.Variable, build: Callable[[], Flow]):
        super().__init__(flow.lattice, flow.prior, flow.bijector, flow.equivariance)
        self.condition, self.knots, self._hats, self._build = condition, knots, hats, build
        self.coupling = tfp.util.DeferredTensor(hats, lambda hats: tf.reduce_sum(hats * knots), shape=[])

    @property
    def conditioned_on(self) -> list[Any]:
        """The parameter, and its values at the knots."""
        return [self.condition, *map(float, self.knots)]

    def check_coupling(self, value: float) -> None:
        """Raises `ValueError` for a value outside of the range of the knots, where there are no weights."""
        if not self.knots[0] <= value <= self.knots[-1]:
            raise ValueError(
                f"the flow is conditioned on {self.condition} between {self.knots[0]:g} and {self.knots[-1]:g}, got {value:g}: "
                "choose a value in this range, or train a flow with other knots"
            )

    def set_coupling(self, value: float) -> None:
        """Changes the parameter in place, also for functions that TensorFlow has traced before. Raises as `check_coupling`."""
        self.check_coupling(value)
        self._hats.assign(_hats(value, self.knots))

    def at(self, value: float) -> Flow:
        """Returns the flow for one value of the parameter: a flow of its own, with weights that are not shared.

        ```python
        lattice = lf.Lattice((4, 4))
        flow = lf.flows.conditioned(lattice, knots=(4.0, 5.0, 7.0), of={"name": "affine", "layers": 2})
        print(flow.at(4.6))              # Flow(affine, Lattice((4, 4)), ... parameters)
        ```

        Raises:
          ValueError: a value outside of the range of the knots.
        """
        self.check_coupling(value)
        hats, stacks = _hats(value, self.knots), self._stacks()
        with tf.device(self.device):
            flow = self._build()
        plain, own = flow.named_variables(), {name: variable.numpy() for name, variable in self.named_variables().items()}
        assign(plain, {name: np.tensordot(hats, own[name], 1) if name in stacks else own[name] for name in plain})
        flow.set_integration_steps(self.integration_steps)
        flow.trained_steps = self.trained_steps
        return flow

    def upgraded(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """As for any flow, at every knot."""
        return self._at_every_knot(arrays, super().upgraded)

    def transferred(self, arrays: Mapping[str, np.ndarray], lattice: Lattice) -> dict[str, np.ndarray]:
        """As for any flow, at every knot. Weights of the flow for a single coupling are the start at all of them."""
        hats = self._hats.name.split(":")[0]
        if hats not in arrays:
            repeated = {name: np.stack([array] * len(self.knots)) for name, array in arrays.items() if name in self._stacks()}
            arrays = {**arrays, **repeated, hats: self._hats.numpy()}
        return self._at_every_knot(arrays, lambda one: super(ConditionedFlow, self).transferred(one, lattice))

    def _at_every_knot(
        self, arrays: Mapping[str, np.ndarray], translate: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> dict[str, np.ndarray]:
        stacks, number = self._stacks(), len(self.knots)
        if any(len(arrays[name]) != number for name in stacks & arrays.keys()):
            return dict(arrays)  # which do not fit, as `assign` will say
        found = [translate({name: array[k] if name in stacks else array for name, array in arrays.items()}) for k in range(number)]
        for name in (shared := found[0].keys() - stacks):
            if any(np.any(one[name] != found[0][name]) for one in found):
                raise ValueError(f"{name} would have to depend on the coupling: train a flow for each coupling on this lattice")
        return {name: array if name in shared else np.stack([one[name] for one in found]) for name, array in found[0].items()}

    def _stacks(self) -> set[str]:
        """Names of the variables that have one value for each knot."""
        return {variable.name.split(":")[0] for variable in self.trainable_variables}


class _Interpolated(tfp.util.DeferredTensor):
    """A weight between the knots, in the place of a variable of a flow's part.

    Args:
      stack: its values at the knots, `[K, *shape]`.
      hats: `[K]`.
    """

    trainable = True

    def __init__(self, stack: tf.Variable, hats: tf.Variable):
        def interpolated(values: tf.Tensor) -> tf.Tensor:
            return tf.reduce_sum(values * tf.reshape(tf.cast(hats, values.dtype), [-1] + [1] * (len(values.shape) - 1)), axis=0)

        super().__init__(stack, interpolated, shape=stack.shape[1:], also_track=hats)

    @property
    def name(self) -> str:
        """That of the variable, by which parts translate their weights."""
        return self.pretransformed_input.name


def _hats(coupling: float, knots: np.ndarray) -> np.ndarray:
    """The hat functions of all knots at one value, `[K]`."""
    return np.array([np.interp(coupling, knots, row) for row in np.eye(len(knots))])


@recorded("conditioned")
def conditioned(
    lattice: Lattice, seed: int = 1, *, condition: str = "lam", knots: Knots = (4.0, 5.0), of: Annotated[Component, FLOWS] = AFFINE
) -> ConditionedFlow:
    """Builds one flow for a range of couplings: every trained weight of another flow, piecewise linear between knots.

    Training draws values between the first and the last knot, and is judged by the worst of several. The flow then samples
    anywhere between them:

    ```python
    action = lf.ScalarPhi4(lf.Lattice((4, 4)), m2=-4.0, lam=5.0)
    flow = lf.flows.conditioned(action.lattice, knots=(4.0, 5.0, 7.0), of={"name": "affine", "layers": 2})
    ensemble = lf.sample(flow.at(6.5), action.at(lam=6.5), 1000)       # after lf.train(flow, action)
    ```

    Weights have the names that they have in the other flow, and one axis more, the first, for the knots.

    Args:
      lattice: the lattice.
      seed: master seed of the initial weights, which are the same at all knots.
      condition: the parameter of the action.
      knots: its values at the knots, ascending: closer together where the distribution changes faster.
      of: the other flow.

    Returns:
      The flow, in the middle of the range.

    Raises:
      ConfigError: an unknown part or parameter.
      ValueError: knots that do not ascend, or a lattice that does not suit the other flow.
    """
    if any(after <= before for before, after in itertools.pairwise(knots)):
        raise ValueError(f"knots must ascend, got {list(knots)}")
    values = np.array(knots, np.float64)
    hats = tf.Variable(_hats((values[0] + values[-1]) / 2, values), trainable=False, name="condition")
    with tf.variable_creator_scope(_creator(hats)):
        flow = FLOWS.build(of, lattice, seed)
    return ConditionedFlow(flow, condition, values, hats, lambda: FLOWS.build(of, lattice, seed))


def _creator(hats: tf.Variable) -> Callable[..., Any]:
    """Makes an `_Interpolated` where a trained variable is asked for."""

    def create(
        next_creator: Callable[..., tf.Variable], initial_value: Any, trainable: bool | None = None, **settings: Any
    ) -> tf.Variable:
        if trainable is False:
            return next_creator(initial_value=initial_value, trainable=trainable, **settings)
        start = tf.convert_to_tensor(initial_value, settings.get("dtype"))
        stack = next_creator(initial_value=tf.stack([start] * hats.shape[0]), trainable=trainable, **settings)
        return _Interpolated(stack, hats)

    return create
