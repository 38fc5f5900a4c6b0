"""Geometry against its definitions."""

import numpy as np
import pytest

from lattice_flows.lattice import Lattice


@pytest.mark.parametrize("shape", [(4,), (4, 6), (2, 4, 2), (2, 2, 4, 2)])
def test_neighbours_have_the_other_parity(shape):
    lattice = Lattice(shape)
    parity = lattice.parity()
    assert lattice.d == len(shape) and lattice.volume == np.prod(shape)
    for axis in range(lattice.d):
        np.testing.assert_array_equal(np.roll(parity, 1, axis), 1 - parity)


def test_momentum_squared_is_the_spectrum_of_the_laplacian():
    lattice = Lattice((4, 6))
    delta = np.zeros(lattice.shape)
    delta[0, 0] = 1
    laplacian = sum(2 * delta - np.roll(delta, 1, axis) - np.roll(delta, -1, axis) for axis in (0, 1))
    np.testing.assert_allclose(np.fft.fftn(laplacian), lattice.momentum_squared(), atol=1e-12)


def test_time_axes_are_those_of_the_largest_extent():
    assert Lattice((4, 6)).time_axes == (2,)
    assert Lattice((6, 6)).time_axes == (1, 2)


def test_an_odd_extent_has_no_checkerboard():
    with pytest.raises(ValueError, match=r"every extent even, but the lattice \(4, 5\) has 5"):
        Lattice((4, 5)).parity()


@pytest.mark.parametrize(
    ("shape", "message"), [((4, 1), "2 or more, not 1"), ((2,) * 5, "1 to 4 dimensions, not 5"), ((), "1 to 4 dimensions, not 0")]
)
def test_impossible_shapes(shape, message):
    with pytest.raises(ValueError, match=message):
        Lattice(shape)
