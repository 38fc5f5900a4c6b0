"""What an action is: `S(phi)` of the target density `exp(-S) / Z`, and its other properties."""

import copy
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from lattice_flows.lattice import Lattice, check_lattice

__all__ = ["Action"]


class Action:
    """A Euclidean lattice action. A subclass defines its `name` and the value `S(phi)`; everything else has a default.

    ```python
    class Gaussian(lf.actions.Action):
        name = "gaussian"

        def __init__(self, lattice, *, m2: float = 1.0):
            super().__init__(lattice, m2=m2)

        def __call__(self, phi):
            return self.parameters["m2"] * tf.reduce_sum(tf.cast(phi, tf.float64) ** 2, self.lattice.axes)

    lf.actions.ACTIONS["gaussian"] = Gaussian
    ```

    Args:
      lattice: the lattice.
      **parameters: couplings, for the record.

    Raises:
      TypeError: something else than a lattice.

    Attributes:
      name: the name that the action is registered under.
      exact: observable -> its exact value, for those whose value does not depend on the parameters.
      lattice: the lattice.
      parameters: couplings by name, as a configuration gives them and a result records them.
    """

    name: ClassVar[str]
    exact: ClassVar[Mapping[str, float]] = {"schwinger_dyson": 1.0}

    def __init_subclass__(cls, **arguments: object):
        """Refuses another action under an inherited name, by which results and configurations would take it for the other one.

        Raises:
          TypeError: the class defines `__call__`, and no `name` of its own.
        """
        super().__init_subclass__(**arguments)
        if "__call__" in vars(cls) and "name" not in vars(cls):
            raise TypeError(f"{cls.__name__} defines another action: give the class a name of its own, such as name = 'my_action'")

    def __init__(self, lattice: Lattice, **parameters: float):
        self.lattice, self.parameters = check_lattice(lattice), parameters

    def __repr__(self) -> str:
        parameters = "".join(f", {name}={value!r}" for name, value in self.parameters.items())
        return f"{type(self).__name__}({self.lattice!r}{parameters})"

    @property
    def component(self) -> dict[str, Any]:
        """The name and the parameters: `ACTIONS.build` makes the same action from it."""
        return {"name": self.name, **self.parameters}

    def at(self, **parameters: float) -> "Action":
        """The same action with other values of some parameters.

        ```python
        action = lf.ScalarPhi4(lf.Lattice((4, 4)), m2=-4.0, lam=5.0)
        print(action.at(lam=4.5))        # ScalarPhi4(Lattice((4, 4)), m2=-4.0, lam=4.5)
        ```

        Raises:
          ValueError: a parameter that the action does not have, or a value that it refuses.
        """
        for name in parameters:
            self.check_parameter(name)
        return type(self)(self.lattice, **{**self.parameters, **parameters})

    def varied(self, name: str, value: Any) -> "Action":
        """The same action with a parameter that may vary, so that a compiled function of the action serves all its values.

        The action must read the parameter, as an attribute or in `parameters`, whenever it is called, and not compute something
        from it in its constructor. That is tried on a random field.

        Args:
          name: of the parameter.
          value: a variable, or what behaves like a tensor; float64, a scalar.

        Raises:
          ValueError: the action has no such parameter, or does not read it when it is called.
        """
        self.check_parameter(name)
        with tf.init_scope():  # not as a part of what is being traced
            self._check_reads(name)
        return self._with(name, value)

    def _with(self, name: str, value: Any) -> "Action":
        varied = copy.copy(self)
        varied.parameters = {**self.parameters, name: value}
        if name in vars(self):
            setattr(varied, name, value)
        return varied

    def _check_reads(self, name: str) -> None:
        phi = tf.constant(np.random.default_rng(1).normal(size=(1, *self.lattice.shape)))
        for value in (1.25 * self.parameters[name] + 0.125, 0.75 * self.parameters[name] - 0.125):
            try:
                other = self.at(**{name: value})(phi)
            except ValueError:  # a value that the action refuses
                continue
            if not np.isfinite(other).all():
                continue
            if not np.allclose(self._with(name, tf.constant(value, tf.float64))(phi), other, rtol=1e-6):
                raise ValueError(
                    f"the action {self.name!r} does not change with its parameter {name!r}: let __call__ read it from "
                    f"self.parameters[{name!r}], instead of something that the constructor has computed from it"
                )
            return

    def check_parameter(self, name: str) -> None:
        """Raises `ValueError` for a parameter that the action does not have."""
        if name not in self.parameters:
            raise ValueError(f"the action {self.name!r} has no parameter {name!r}: choose one of {', '.join(self.parameters)}")

    def __call__(self, phi: tf.Tensor) -> tf.Tensor:
        """The action of each configuration.

        Args:
          phi: `[batch, *lattice.shape]`, float32 or float64.

        Returns:
          `[batch]`, float64.
        """
        raise NotImplementedError

    def force(self, phi: np.ndarray) -> np.ndarray:
        """The derivative of the action with respect to the field at each site, `dS/dphi_x`.

        Here by automatic differentiation, in float64.

        Args:
          phi: `[n, *lattice.shape]`.

        Returns:
          `[n, *lattice.shape]`, float64.
        """
        fields = tf.constant(phi, tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(fields)
            value = self(fields)
        return tape.gradient(value, fields).numpy()

    @cached_property
    def even(self) -> bool:
        """Whether `S(-phi) = S(phi)`, so that both signs of M are equally probable; it is tried on random fields."""
        phi = tf.constant(np.random.default_rng(1).normal(size=(16, *self.lattice.shape)))
        return bool(np.allclose(self(phi), self(-phi), rtol=1e-9, atol=0))

    @property
    def site_potential(self) -> tuple[float, float] | None:
        """a and b, if the action depends on the field at each site x as `a phi_x^2 + b phi_x^4 - 2 h_x phi_x`.

        h_x is the sum of the 2d neighbours. None if it depends on it in another way. With it, every other site can be integrated
        out (`flows.marginalized`), and the signs have clusters (`samplers.Cluster`).
        """
        return None

    def time_series(self, phi: np.ndarray, general: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the action measures on each configuration; the mean of each series is an observable of the same name.

        Here: `action_density = S / V` and `schwinger_dyson = (1/V) sum_x phi_x dS/dphi_x`, whose mean is 1 for every action, as
        partial integration shows.

        Args:
          phi: `[n, *lattice.shape]`.
          general: what `measurement.series.time_series` measures on them, such as "phi_2" `[n]`.

        Returns:
          name -> `[n]`.
        """
        fields = np.asarray(phi, np.float64)
        return {
            "action_density": self(tf.constant(fields)).numpy() / self.lattice.volume,
            "schwinger_dyson": np.mean(fields * self.force(fields), axis=self.lattice.axes),
        }

    def change_at_each_site(self, phi: tf.Tensor, proposal: tf.Tensor) -> tf.Tensor:
        """How the action changes if the field at one site alone takes its proposed value, for each site.

        Local updates need it. It must depend on the site and its nearest neighbours alone.

        Args:
          phi: `[batch, *lattice.shape]`.
          proposal: of the same shape and type.

        Returns:
          the same shape and type.

        Raises:
          NotImplementedError: the action does not have it.
        """
        raise NotImplementedError(self.without_local_changes())

    def without_local_changes(self) -> str:
        """What there is to say where local updates are asked for, and the action does not define `change_at_each_site`."""
        return (
            f"local updates need the change of the action at each site, which {type(self).__name__} does not have: "
            "define change_at_each_site(phi, proposal), or use another sampler, such as hmc"
        )
