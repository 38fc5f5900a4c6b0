"""Schwinger-Dyson equations, `<F dS/dphi_x> = <dF/dphi_x>` for any F: series whose exact mean is zero, whatever the action."""

import numpy as np

from lattice_flows.actions import Action

__all__ = ["IDENTITIES", "identities"]

# Names of the series. They are no observables: they show whether a chain, or a measurement of it, can be right.
IDENTITIES = (
    "schwinger_dyson_neighbour",
    "schwinger_dyson_cubic",
    "schwinger_dyson_magnetization",
    "schwinger_dyson_magnetization_cubed",
)


def identities(phi: np.ndarray, action: Action) -> dict[str, np.ndarray]:
    """`F dS/dphi_x - dF/dphi_x`, averaged over sites, for four F that see the field from short to long distances.

    ```python
    from lattice_flows.measurement.identities import identities

    phi = np.random.default_rng(1).normal(size=(100, 4, 4))
    series = identities(phi, lf.ScalarPhi4(lf.Lattice((4, 4)), m2=1.0, lam=0.5))
    print(series["schwinger_dyson_cubic"].mean())        # far from zero: these are not fields of this action
    ```

    Args:
      phi: `[n, *lattice_shape]`.
      action: what the configurations were drawn with.

    Returns:
      name -> `[n]`: schwinger_dyson_neighbour (`F = phi_{x+mu}`, averaged over the directions), schwinger_dyson_cubic
      (`F = phi_x^3`), schwinger_dyson_magnetization and schwinger_dyson_magnetization_cubed (F = V M and V M^3, M the average of
      phi; these see the tails of M).
    """
    phi, axes, volume = np.asarray(phi, np.float64), action.lattice.axes, action.lattice.volume
    force = action.force(phi)
    neighbours = sum(np.roll(phi, -1, axis) for axis in axes) / len(axes)
    squares, magnetization, mean_force = phi * phi, phi.mean(axis=axes), force.mean(axis=axes)
    return dict(
        zip(
            IDENTITIES,
            (
                np.mean(neighbours * force, axis=axes),
                np.mean(squares * (phi * force - 3), axis=axes),
                volume * magnetization * mean_force - 1,
                magnetization**2 * (volume * magnetization * mean_force - 3),
            ),
            strict=True,
        )
    )
