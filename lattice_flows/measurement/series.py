"""What is measured on each configuration. All observables are functions of the means of these time series."""

from collections.abc import Sequence

import numpy as np
import scipy.fft

from lattice_flows.actions import Action
from lattice_flows.fourier import momentum_transform
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.identities import identities

__all__ = ["GENERAL", "measured", "smooth_powers", "spectra", "time_series", "zero_unless"]

# Names of the series that do not depend on the action.
GENERAL = (
    "magnetization",
    "absolute_magnetization",
    "magnetization_2",
    "magnetization_4",
    "phi_2",
    "phi_4",
    "nearest",
    "positive_magnetization",
    "zero_momentum_green",
)


def time_series(phi: np.ndarray, time_axes: Sequence[int]) -> dict[str, np.ndarray]:
    """The series that do not depend on the action.

    ```python
    from lattice_flows.measurement.series import time_series

    series = time_series(np.ones((3, 4, 4)), time_axes=(1, 2))
    print(series["phi_2"])              # [1. 1. 1.]
    ```

    Args:
      phi: `[n, *lattice_shape]`.
      time_axes: axes of phi, of equal extent T, over which correlators in time are averaged.

    Returns:
      name -> `[n]`, except "zero_momentum_green" `[n, T // 2 + 1]`: magnetization `M = (1/V) sum_x phi_x`, absolute_magnetization,
      magnetization_2 and magnetization_4 (powers of M), phi_2 and phi_4 (averages over sites), nearest (average of
      `phi_x phi_{x+mu}` over sites and directions), positive_magnetization (1 for M > 0, 1/2 for M = 0, else 0), and
      zero_momentum_green: `(1/T) sum_s Phi_s Phi_{s+t}` with `Phi_s` the average of phi over the time slice s, which is eq. 23 of
      arXiv:1904.12072 without the disconnected part.
    """
    phi = np.asarray(phi, np.float64)
    axes = tuple(range(1, phi.ndim))
    extent = phi.shape[time_axes[0]]
    sites = phi.reshape(len(phi), np.prod(phi.shape[1:]))  # not -1: there may be no configuration
    squares = sites * sites
    nearest = [np.einsum("nx,nx->n", sites, np.roll(phi, -1, axis).reshape(sites.shape)) for axis in axes]
    slices = [phi.mean(axis=tuple(axis for axis in axes if axis != time)) for time in time_axes]
    in_time = [np.abs(scipy.fft.rfft(each, axis=1)) ** 2 for each in slices]
    magnetization = sites.mean(axis=1)
    return {
        "magnetization": magnetization,
        "absolute_magnetization": np.abs(magnetization),
        "magnetization_2": magnetization**2,
        "magnetization_4": magnetization**4,
        "phi_2": squares.mean(axis=1),
        "phi_4": np.einsum("nx,nx->n", squares, squares) / sites.shape[1],
        "nearest": np.mean(nearest, axis=0) / sites.shape[1],
        "positive_magnetization": np.heaviside(magnetization, 0.5),
        "zero_momentum_green": scipy.fft.irfft(np.mean(in_time, axis=0) / extent, n=extent, axis=1)[:, : extent // 2 + 1],
    }


def spectra(phi: np.ndarray, lattice: Lattice) -> np.ndarray:
    """`|phi_k|^2` of every class of momenta, summed over the class: those that reflections and permutations of axes make of one.

    ```python
    from lattice_flows.measurement.series import spectra

    print(spectra(np.ones((3, 4, 4)), lf.Lattice((4, 4)))[0])           # [16. 0. 0. 0. 0. 0.], but for rounding
    ```

    Args:
      phi: `[n, *lattice_shape]`.
      lattice: its lattice.

    Returns:
      `[n, classes]`, in the order of `lattice.momentum_classes`, with `phi_k = V^(-1/2) sum_x exp(-i k x) phi_x`: `sum_x phi_x^2`
      of each configuration, divided among the classes.
    """
    transform, (momenta, members) = momentum_transform(lattice), lattice.momentum_classes()
    modes = transform(np.asarray(phi, np.float64).reshape(-1, *transform.axes)).reshape(len(phi), -1)
    order = np.argsort(members)
    starts = np.searchsorted(members[order], np.arange(len(momenta)))
    # Real modes and plane waves of a class have the same sum of squares: both span the space that it keeps to itself.
    return np.add.reduceat(modes[:, order] ** 2, starts, axis=1)


def smooth_powers(phi: np.ndarray, lattice: Lattice) -> np.ndarray:
    """Powers of averages over the surroundings of a site: how waves that are longer than some length interact.

    Args:
      phi: `[n, *lattice_shape]`.
      lattice: its lattice.

    Returns:
      `[n, 2 lengths]`: the averages over sites of `s^4`, and of `s^6`, where s has the modes `exp(-l^2 phat^2 / 2) phi_k`, for
      lengths l of 1.5, 3, 6, ... up to a quarter of the smallest extent; 1.5 alone on smaller lattices.
    """
    transform, momentum_squared = momentum_transform(lattice), lattice.momentum_squared()
    modes = transform(np.asarray(phi, np.float64).reshape(-1, *transform.axes))
    lengths = [1.5 * 2**k for k in range(1 + max(int(np.log2(min(lattice.shape) / 6)), 0))]
    found = []
    for length in lengths:
        smooth = transform.inverse(np.exp(-(length**2) * momentum_squared.reshape(transform.axes) / 2) * modes).reshape(
            len(phi), -1
        )
        squares = smooth**2
        found += [np.einsum("nx,nx->n", squares, squares), np.einsum("nx,nx,nx->n", squares, squares, squares)]
    return np.stack(found, axis=1) / lattice.volume


def measured(phi: np.ndarray, action: Action) -> dict[str, np.ndarray]:
    """All series of an action: the general ones, its own, and the `identities`.

    Args:
      phi: `[n, *lattice_shape]`, or `[n, chains, *lattice_shape]`.
      action: what the configurations were drawn with.

    Returns:
      name -> `[n]` or `[n, chains]`, and "zero_momentum_green" with one more axis.

    Raises:
      ValueError: phi has another shape, or the action gives a series the name of a general one.
    """
    lattice = action.lattice
    if phi.shape[-lattice.d :] != lattice.shape or phi.ndim - lattice.d not in (1, 2):
        raise ValueError(f"phi must have the shape [n, {lattice.shape}] or [n, chains, {lattice.shape}], got {phi.shape}")
    rows = phi.shape[: phi.ndim - lattice.d]
    fields = np.asarray(phi, np.float64).reshape(-1, *lattice.shape)
    general = time_series(fields, lattice.time_axes)
    own = action.time_series(fields, general)
    if taken := sorted(general.keys() & own.keys()):
        raise ValueError(f"the action {action.name!r} measures {taken}, which are names of general series: rename them")
    return {
        name: np.asarray(values).reshape(*rows, *values.shape[1:])
        for name, values in (general | own | identities(fields, action)).items()
    }


def zero_unless(kept: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A series `[n, ...]` with zeros in the rows that are not kept: a weight of zero would not silence what is no number."""
    return values if kept.all() else np.where(kept.reshape(-1, *(1,) * (values.ndim - 1)), values, 0.0)
