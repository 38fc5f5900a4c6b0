"""What a coupling does to each active site."""

from typing import Literal, Protocol

import tensorflow as tf

__all__ = ["InnerMap"]


class InnerMap(Protocol):
    """An invertible element-wise map whose parameters a conditioner gives.

    All tensors are fields as vectors, `[..., V]`, of one type. Where all parameters are zero, the map is the identity. Even
    parameters are zero on frozen sites, and what the map gives there is not used. The keyword arguments of the constructor are the
    map's keys in a configuration.

    Attributes:
      parities: one for each parameter, "even" or "odd": how the parameter must behave under phi -> -phi for the map to be odd.
      keeps_sign: whether the map is odd if the parameters have these parities, `f(-x; -odd, even) = -f(x; odd, even)`.
    """

    parities: tuple[Literal["even", "odd"], ...]
    keeps_sign: bool

    def forward(self, x: tf.Tensor, *parameters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns `y = f(x)` and `log |dy/dx|`, both of the shape of x."""

    def inverse(self, y: tf.Tensor, *parameters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns x with `f(x) = y` and `log |dx/dy|`, both of the shape of y."""
