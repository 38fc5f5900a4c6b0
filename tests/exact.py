"""Exact answers that every sampler must reproduce, and definitions; `schwinger_dyson` is 1 at any coupling."""

import functools
import itertools

import numpy as np
from scipy.signal import lfilter

from lattice_flows.lattice import Lattice


def free_field(lattice: Lattice, m2: float) -> dict[str, float]:
    """`lam = 0`: `<|phi_p|^2> = 1 / (2 (phat^2 + m2))`."""
    inverse_propagator = lattice.momentum_squared() + m2
    propagator = np.fft.ifftn(1 / (2 * inverse_propagator)).real
    nearest = [propagator[tuple(int(mu == axis) for axis in range(lattice.d))] for mu in range(lattice.d)]
    return {
        "log_z": lattice.volume / 2 * np.log(np.pi) - np.sum(np.log(inverse_propagator)) / 2,
        "two_point_susceptibility": 1 / (2 * m2),
        "phi_squared": propagator.flat[0],
        "phi_fourth": 3 * propagator.flat[0] ** 2,
        "absolute_magnetization": np.sqrt(2 / np.pi / (2 * m2 * lattice.volume)),
        "ising_energy": np.mean(nearest),
        "action_density": 0.5,
        "pole_mass": np.arccosh(1 + m2 / 2),
        "schwinger_dyson": 1.0,
    }


def free_fields(lattice: Lattice, m2: float, n: int, seed: int = 1) -> np.ndarray:
    """`lam = 0`: independent fields `[n, *shape]`, whose modes are normal with the variance `1 / (2 (phat^2 + m2))`."""
    white = np.fft.fftn(np.random.default_rng(seed).normal(size=(n, *lattice.shape)), axes=lattice.axes)
    return np.fft.ifftn(white / np.sqrt(2 * (lattice.momentum_squared() + m2)), axes=lattice.axes).real


def autoregressive(rng: np.random.Generator, n: int, chains: int, a: float) -> np.ndarray:
    """`x' = a x + sqrt(1 - a^2) noise`, `[n, chains]`: unit variance, `tau_int = 1/2 + a / (1 - a)`."""
    noise = rng.normal(size=(n, chains)) * np.sqrt(1 - a**2)
    noise[0] /= np.sqrt(1 - a**2)
    return lfilter([1], [1, -a], noise, axis=0)


def slow_two_point(phi: np.ndarray) -> np.ndarray:
    """`(1/V) sum_y phi_y phi_{y+x}` for every x, of one configuration."""
    green = np.zeros(phi.shape)
    for x in itertools.product(*map(range, phi.shape)):
        green[x] = np.mean(phi * np.roll(phi, [-c for c in x], axis=range(phi.ndim)))
    return green


def single_site(quadratic: float, quartic: float) -> dict[str, float]:
    """No hopping: moments of `exp(-quadratic x^2 - quartic x^4)`, by quadrature."""
    x, weight = _nodes()
    density = weight * np.exp(-quadratic * x**2 - quartic * x**4)
    z = np.sum(density)
    return {"log_z": np.log(z), "phi_squared": np.sum(density * x**2) / z, "phi_fourth": np.sum(density * x**4) / z}


@functools.cache
def two_sites_in_every_direction(d: int, m2: float, lam: float) -> dict[str, float]:
    """The 2^d lattice for d = 2 or 3, by quadrature with the transfer matrix between its two layers.

    Both neighbours of a site along an axis are the same one, so each pair of neighbours enters the action as `-4 phi phi'`.
    """
    # A quartic potential needs a short interval alone, and in three dimensions the time goes with the fifth power of the nodes.
    x, weight = _nodes(32, 1.7) if lam >= 4 else _nodes()
    site = weight * np.exp(-(m2 + 2 * d) * x**2 - lam * x**4)
    pair = np.exp(4 * np.multiply.outer(x, x))
    sites = 2 ** (d - 1)

    def z(insertions: dict[int, np.ndarray]) -> float:
        """Integral with functions of some sites inserted; sites of the second layer count on from the first."""
        layers = []
        for layer in range(2):
            values = [site * insertions.get(layer * sites + i, 1.0) for i in range(sites)]
            if d == 2:
                layers.append(np.einsum("a,b,ab->ab", *values, pair, optimize=True))
            else:
                # The square 0 1 / 2 3 has the edges 01, 23, 02, 13.
                layers.append(np.einsum("a,b,c,d,ab,cd,ac,bd->abcd", *values, pair, pair, pair, pair, optimize=True))
        second = layers[1]
        for axis in range(sites):
            second = np.moveaxis(np.tensordot(pair, second, axes=(1, axis)), 0, axis)
        return float(np.sum(layers[0] * second))

    norm = z({})
    correlations = [z({0: x, i: x}) / norm for i in range(1, 2 * sites)]
    phi_squared = z({0: x**2}) / norm
    return {
        "log_z": np.log(norm),
        "phi_squared": phi_squared,
        "phi_fourth": z({0: x**4}) / norm,
        "two_point_susceptibility": phi_squared + sum(correlations),
        "ising_energy": correlations[0],
        "schwinger_dyson": 1.0,
    }


def line(extent: int, m2: float, lam: float) -> tuple[np.ndarray, float]:
    """The correlator `[T]` of a line of phi^4, and its mass, the gap E_1 - E_0 of the transfer matrix (sites by quadrature)."""
    x, weight = _nodes(120, 8.0)
    site = np.sqrt(weight) * np.exp(-((m2 + 2) * x**2 + lam * x**4) / 2)
    levels, states = np.linalg.eigh(site[:, np.newaxis] * np.exp(2 * np.multiply.outer(x, x)) * site)
    lowest = np.argsort(-levels)[:20]
    energies, states = np.log(levels[lowest[0]] / levels[lowest]), states[:, lowest]
    elements = (states.T @ (x[:, np.newaxis] * states)) ** 2
    there, back = (np.exp(-np.multiply.outer(t, energies)) for t in (np.arange(extent), extent - np.arange(extent)))
    return np.einsum("tn,nk,tk->t", there, elements, back) / np.sum(np.exp(-extent * energies)), float(energies[1])


def _nodes(n: int = 48, cut: float = 2.5) -> tuple[np.ndarray, np.ndarray]:
    x, weight = np.polynomial.legendre.leggauss(n)
    return cut * x, cut * weight
