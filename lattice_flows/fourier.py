"""The real Fourier transform on a periodic lattice, and what is diagonal in it. NumPy only.

The transform has the kernel `cas(t) = cos t + sin t` (R. V. L. Hartley, Proc. IRE 30 (1942) 144). It is real, symmetric, orthogonal
and its own inverse:

    f(p) = V^(-1/2) sum_x cas(p x) f(x),    p_mu = 2 pi n_mu / L_mu

The product over all axes, `prod_mu cas(p_mu x_mu)`, makes another transform with the same properties. Convolutions with a kernel
that is even in x are diagonal in the first, those with a kernel that is even along every axis in both, with the same eigenvalues
`sum_x k(x) cos(p x)`. The first is one product with a V x V matrix, the second costs V sum_mu L_mu.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from lattice_flows.lattice import Lattice, OddSites

__all__ = [
    "DENSE",
    "MomentumTransform",
    "OddSitesTransform",
    "convolution_matrix",
    "hartley",
    "momentum_transform",
    "nearest_neighbours",
    "propagator",
]

# Sites of the largest lattice on which one matrix product is the faster transform, measured on CPUs at batches of 64 and 512.
DENSE = 200


@functools.lru_cache(maxsize=32)
def hartley(shape: tuple[int, ...]) -> np.ndarray:
    """Returns the matrix `V^(-1/2) cas(p x)`, `[V, V]`.

    Args:
      shape: the extents. Rows are momenta in the order of `numpy.fft.fftn`, flattened; columns are sites.
    """
    sites = np.indices(shape).reshape(len(shape), -1)
    phase = 2 * np.pi * np.einsum("ax,ap,a->px", sites, sites, 1 / np.array(shape))
    matrix = (np.cos(phase) + np.sin(phase)) / np.sqrt(sites.shape[1])
    matrix.setflags(write=False)  # it is shared
    return matrix


_numpy_einsum = functools.partial(np.einsum, optimize=True)


class MomentumTransform:
    """The faster of the two transforms, for maps that are even along every axis. Its inverse is the transform itself.

    Example:

    ```python
    from lattice_flows.fourier import MomentumTransform

    transform = MomentumTransform(lf.Lattice((4, 6)))
    phi = np.random.default_rng(1).normal(size=(3, *transform.axes))
    modes = transform(phi)                                              # of the same shape
    also = transform(tf.constant(phi), tf.einsum)                    # for tensors
    ```

    Args:
      lattice: the lattice.

    Attributes:
      axes: the shape of a field that is transformed: `(V,)` on small lattices, where one matrix serves, else that of the lattice.
        Momenta have the order of `numpy.fft.fftn`.
      kernel_axes: the shape of a kernel, the same.
    """

    def __init__(self, lattice: Lattice):
        dense = lattice.volume <= DENSE
        self.axes = self.kernel_axes = (lattice.volume,) if dense else lattice.shape
        self._matrices = [hartley(lattice.shape)] if dense else [hartley((extent,)) for extent in lattice.shape]

    def __call__(self, x: Any, einsum: Callable = _numpy_einsum) -> Any:
        """Transforms `[..., *axes]`.

        Args:
          x: an array, or a tensor.
          einsum: NumPy's, or `tf.einsum` for a tensor.
        """
        return _along_axes(x, self._matrices, einsum)

    def inverse(self, modes: Any, einsum: Callable = _numpy_einsum) -> Any:
        """Transforms modes `[..., *axes]` back."""
        return self(modes, einsum)

    def eigenvalues(self, kernel: Any, einsum: Callable = _numpy_einsum) -> Any:
        """Returns the eigenvalues `[..., *axes]` of convolutions with kernels `[..., *axes]` that are even along every axis."""
        return _along_axes(kernel, [matrix * np.sqrt(len(matrix)) for matrix in self._matrices], einsum)


class OddSitesTransform:
    """The same for fields on the odd sites of a lattice, at half of the cost. It is orthogonal, and not its own inverse.

    A field on odd sites has modes `f(p + (pi, ..., pi)) = -f(p)`. Those whose last component is below pi are kept, times sqrt(2).

    Args:
      sites: the odd sites.

    Attributes:
      axes: the shape of a field that is transformed: `(V / 2,)`, or the shape of the odd sites.
      kernel_axes: the shape of a kernel, which is one of the whole lattice, zero at odd displacements.
    """

    def __init__(self, sites: OddSites):
        shape, half, odd = sites.whole.shape, sites.shape[-1], sites.whole.parity() == 1
        if sites.volume <= DENSE:
            self.axes, self.kernel_axes = (sites.volume,), (sites.whole.volume,)
            modes = hartley(shape)[:, np.broadcast_to(np.arange(shape[-1]) < half, shape).ravel()]
            self._matrices, self._last, self._of_kernel = [np.sqrt(2) * modes[odd.ravel()]], None, [modes * np.sqrt(len(modes))]
        else:
            self.axes, self.kernel_axes = sites.shape, shape
            *self._matrices, last = (hartley((extent,)) for extent in shape)
            # Along the last axis, odd sites are every other one, from the first or the second on.
            self._last, self._begins_odd = [np.sqrt(2) * last[first::2, :half] for first in (0, 1)], odd[..., :1]
            self._of_kernel = [matrix * np.sqrt(len(matrix)) for matrix in (*self._matrices, last[:, :half])]

    def __call__(self, x: Any, einsum: Callable = _numpy_einsum) -> Any:
        """Transforms `[..., *axes]`."""
        if self._last is None:
            return _along_axes(x, self._matrices, einsum)
        return _along_axes(self._along_last(x, self._last, einsum), self._matrices, einsum, before=1)

    def inverse(self, modes: Any, einsum: Callable = _numpy_einsum) -> Any:
        """Transforms modes `[..., *axes]` back."""
        if self._last is None:
            return _along_axes(modes, [matrix.T for matrix in self._matrices], einsum)
        rows = _along_axes(modes, self._matrices, einsum, before=1)
        return self._along_last(rows, [matrix.T for matrix in self._last], einsum)

    def eigenvalues(self, kernel: Any, einsum: Callable = _numpy_einsum) -> Any:
        """Returns the eigenvalues `[..., *axes]` of convolutions with kernels `[..., *kernel_axes]`, even along every axis."""
        return _along_axes(kernel, self._of_kernel, einsum)

    def _along_last(self, x: Any, matrices: list[np.ndarray], einsum: Callable) -> Any:
        """Every row by the matrix of where its odd sites begin."""
        first, second = (_along_axes(x, [matrix], einsum) for matrix in matrices)
        begins_odd = self._begins_odd.astype(getattr(x.dtype, "as_numpy_dtype", x.dtype))
        return first * begins_odd + second * (1 - begins_odd)


def momentum_transform(lattice: Lattice) -> MomentumTransform | OddSitesTransform:
    """Returns the transform of fields on a lattice, or on the odd sites of one."""
    return MomentumTransform(lattice) if lattice.whole is lattice else OddSitesTransform(lattice)


def _along_axes(x: Any, matrices: list[np.ndarray], einsum: Callable, before: int = 0) -> Any:
    """Multiplies by a matrix along each of the last axes, or of those before some last ones."""
    dtype, indices = getattr(x.dtype, "as_numpy_dtype", x.dtype), "abcdefgh"[: len(x.shape)]
    end = len(indices) - before
    for matrix, index in zip(matrices, indices[end - len(matrices) : end], strict=True):
        x = einsum(f"{indices},{index}z->{indices.replace(index, 'z')}", x, matrix.astype(dtype))
    return x


def nearest_neighbours(lattice: Lattice) -> np.ndarray:
    """Returns the kernel of the sum over nearest neighbours, of the lattice's shape: how often a displacement leads to one.

    Its eigenvalues are `2 d - phat^2`. Along an extent of two, both neighbours are the same site, which counts twice. Neighbours on
    odd sites are those with an even site between them: the kernel is of the whole lattice's shape, and counts those sites.
    """
    kernel = np.zeros(lattice.whole.shape)
    for axis in range(lattice.d):
        for step in (1, -1):
            kernel[tuple(step if other == axis else 0 for other in range(lattice.d))] += 1
    if lattice.whole is lattice:
        return kernel
    twice = np.fft.ifftn(np.fft.fftn(kernel) ** 2).real.round()
    twice[(0,) * lattice.d] = 0
    return twice


def propagator(lattice: Lattice, m2: float) -> np.ndarray:
    """Returns the kernel of the free propagator, of the lattice's shape. Its eigenvalues are `1 / (phat^2 + m2)`.

    That of odd sites is the same, of the whole lattice's shape, and zero where a displacement leads to an even site.

    Raises:
      ValueError: `m2` is not positive.
    """
    if m2 <= 0:
        raise ValueError(f"a propagator needs m2 > 0, got {m2}")
    kernel = np.fft.ifftn(1 / (lattice.whole.momentum_squared() + m2)).real
    return kernel if lattice.whole is lattice else np.where(lattice.mask, 0.0, kernel)


def convolution_matrix(kernel: np.ndarray, lattice: Lattice) -> np.ndarray:
    """Returns the matrix `k(x - y)` for all pairs of sites, `[sites, sites]`. For small lattices only.

    Args:
      kernel: of the shape of the whole lattice.
      lattice: the lattice, or its odd sites.
    """
    sites = np.argwhere(lattice.mask).T
    return kernel[tuple(sites[:, :, np.newaxis] - sites[:, np.newaxis])]
