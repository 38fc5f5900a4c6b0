"""Explicit Runge-Kutta methods."""

from typing import NamedTuple

import numpy as np

__all__ = ["INTEGRATORS", "RungeKutta"]


class RungeKutta(NamedTuple):
    """A method for `dy/dt = f(t, y)` (E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary Differential Equations I, sec. II.1).

        k_i = f(t + c_i h, y + h sum_j a_ij k_j),    y(t + h) = y(t) + h sum_i b_i k_i

    Attributes:
      times: c_i.
      stages: a_ij, a row for each stage, with j < i.
      weights: b_i.
    """

    times: tuple[float, ...]
    stages: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]

    def matrix(self) -> np.ndarray:
        """a_ij, with zeros for j >= i."""
        return np.array([[*row, *(0.0 for _ in range(len(self.stages) - len(row)))] for row in self.stages])

    def to_next_argument(self) -> np.ndarray:
        """Row i has the weights of all k_j in what f is evaluated at after k_i: a_i+1,j, and b_j after the last."""
        return np.vstack([self.matrix()[1:], self.weights])


INTEGRATORS = {
    # The classical method, of fourth order.
    "rk4": RungeKutta((0, 1 / 2, 1 / 2, 1), ((), (1 / 2,), (0, 1 / 2), (0, 0, 1)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
    # Ch. Tsitouras, Comput. Math. Appl. 62 (2011) 770: six stages, fifth order, with errors as small as that order allows.
    "tsit5": RungeKutta(
        (0, 0.161, 0.327, 0.9, 0.9800255409045097, 1),
        (
            (),
            (0.161,),
            (-0.008480655492356989, 0.335480655492357),
            (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
            (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
            (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
        ),
        (0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774),
    ),
}
