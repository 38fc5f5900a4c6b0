"""Geometry against its definitions."""

import itertools

import numpy as np
import pytest

from lattice_flows.lattice import Lattice, OddSites, check_lattice
from lattice_flows.resources import NotEnough


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


@pytest.mark.parametrize(
    ("shape", "count"), [((4, 4), 6), ((6, 6), 10), ((12, 12), 28), ((4, 6), 12), ((2, 3, 4), 12), ((4, 4, 4), 10)]
)
def test_momentum_classes_are_orbits_of_the_hypercubic_group(shape, count):
    lattice = Lattice(shape)
    momenta, classes = lattice.momentum_classes()
    assert momenta.shape == (count,) and np.all(np.diff(momenta) >= 0) and classes.shape == (lattice.volume,)
    np.testing.assert_allclose(momenta[classes], lattice.momentum_squared().ravel(), atol=1e-8)
    # The dual lattice has the same symmetries: its orbits are those of displacements, in another order.
    assert len(set(zip(classes, lattice.displacement_classes()[1], strict=True))) == count


def test_orbits_of_the_same_momentum_squared_are_told_apart():
    momenta, classes = Lattice((4, 4)).momentum_classes()
    np.testing.assert_allclose(momenta, [0, 2, 4, 4, 6, 8], atol=1e-8)
    np.testing.assert_array_equal(np.bincount(classes), [1, 4, 2, 4, 4, 1])


@pytest.mark.parametrize(
    ("shape", "count"), [((6,), 4), ((6, 6), 10), ((14, 14), 36), ((4, 6), 12), ((4, 4, 4), 10), ((2, 4, 4), 12)]
)
def test_displacement_classes_are_orbits_of_the_hypercubic_group(shape, count):
    displacements, classes = Lattice(shape).displacement_classes()
    lengths, classes = np.sum(displacements**2, axis=1), classes.reshape(shape)
    assert displacements.shape == (count, len(shape)) and np.all(np.diff(lengths) >= 0) and lengths[0] == 0
    np.testing.assert_array_equal(classes[tuple(displacements.T)], np.arange(count))
    assert np.count_nonzero(classes == 0) == 1 and classes[(0,) * len(shape)] == 0
    for axis in range(len(shape)):
        np.testing.assert_array_equal(np.roll(np.flip(classes, axis), 1, axis), classes)
    for one, other in itertools.combinations(range(len(shape)), 2):
        if shape[one] == shape[other]:
            np.testing.assert_array_equal(np.swapaxes(classes, one, other), classes)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_stripes_alternate_along_one_axis(axis):
    stripes = Lattice((2, 4, 6)).stripes(axis)
    for other in range(3):
        np.testing.assert_array_equal(np.roll(stripes, 1, other), 1 - stripes if other == axis else stripes)
    assert stripes[0, 0, 0] == 0


def test_stripes_need_an_even_extent_along_their_axis_alone():
    assert Lattice((4, 5)).stripes(0).sum() == 10
    with pytest.raises(ValueError, match=r"stripes need an even extent, but the lattice \(4, 5\) has 5"):
        Lattice((4, 5)).stripes(1)


def test_time_axes_are_those_of_the_largest_extent():
    assert Lattice((4, 6)).time_axes == (2,)
    assert Lattice((6, 6)).time_axes == (1, 2)


def test_an_odd_extent_has_no_checkerboard():
    with pytest.raises(ValueError, match=r"a checkerboard needs every extent even, but the lattice \(4, 5\) has 5"):
        Lattice((4, 5)).parity()


@pytest.mark.parametrize(
    ("shape", "message"), [((4, 1), "2 or more, not 1"), ((2,) * 5, "1 to 4 dimensions, not 5"), ((), "1 to 4 dimensions, not 0")]
)
def test_impossible_shapes(shape, message):
    with pytest.raises(ValueError, match=message):
        Lattice(shape)


@pytest.mark.parametrize("shape", [8, (8.5, 8), (8.0, 8), "88"])
def test_extents_are_integers(shape):
    with pytest.raises(ValueError, match=r"the extents of a lattice are integers, such as \(8, 8\), not"):
        Lattice(shape)
    assert Lattice(np.array([4, 6])).shape == (4, 6)


@pytest.mark.parametrize("shape", [(10**6, 10**6), (10**6,) * 4])
def test_a_lattice_whose_field_exceeds_all_memory_is_refused(shape):
    with pytest.raises(
        NotEnough, match=r"a field on the lattice \(1000000, .* needs about (8|8e\+09) [TP]B .*: use a smaller lattice"
    ):
        Lattice(shape)


@pytest.mark.parametrize(("shape", "count"), [((4,), 2), ((6, 6), 6), ((4, 6), 6), ((2, 4, 4), 6), ((2, 2, 2, 2), 3)])
def test_odd_sites_have_half_of_the_modes_and_displacements(shape, count):
    lattice = Lattice(shape)
    odd = OddSites(lattice)
    assert odd.shape == (*shape[:-1], shape[-1] // 2) and 2 * odd.volume == lattice.volume and odd.whole is lattice
    momenta, classes = odd.momentum_classes()
    assert momenta.shape == (count,) and np.all(np.diff(momenta) >= 0) and momenta[-1] <= odd.largest_momentum_squared
    np.testing.assert_allclose(momenta[classes], odd.momentum_squared().ravel(), atol=1e-8)
    displacements, members = odd.displacement_classes()
    assert displacements.shape == (count, len(shape))
    np.testing.assert_array_equal(members.reshape(shape) >= 0, lattice.parity() == 0)
    np.testing.assert_array_equal(members.reshape(shape)[tuple(displacements.T)], np.arange(count))


def test_modes_of_odd_sites_have_the_mean_variance_of_a_pair_of_momenta():
    """The marginal distribution of a free field, by the inverse of its kernel on odd sites."""
    lattice = Lattice((4, 6))
    propagator = np.fft.ifftn(1 / (2 * (lattice.momentum_squared() + 0.7))).real
    sites = np.argwhere(lattice.parity() == 1)
    covariance = propagator[tuple((sites[:, np.newaxis] - sites).T)]
    odd = OddSites(lattice)
    variances = odd.mode_variance(lambda squared: 1 / (2 * (squared + 0.7)), odd.momentum_squared().ravel())
    np.testing.assert_allclose(np.sort(np.linalg.eigvalsh(covariance)), np.sort(variances), atol=1e-12)


def test_odd_sites_need_even_extents():
    with pytest.raises(ValueError, match="every extent even"):
        OddSites(Lattice((4, 3)))


def test_the_odd_sites_of_one_dimension_have_a_single_colour():
    for colours in (OddSites(Lattice((4,))).parity, lambda: OddSites(Lattice((4,))).stripes(0)):
        with pytest.raises(ValueError, match=r"odd sites of the lattice \(4,\) have a single colour.*such as 'continuous'"):
            colours()
    for axis in (0, 1):
        assert OddSites(Lattice((2, 2))).stripes(axis).sum() == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((4, 4), "lattice is (4, 4): give lf.Lattice((4, 4))"),
        ([4, 6], "lattice is [4, 6]: give lf.Lattice((4, 6))"),
        ((4,), "lattice is (4,): give lf.Lattice((4,))"),
        (8, "lattice is 8: give lf.Lattice((8, 8)) in two dimensions"),
        (None, "lattice is None: give one such as lf.Lattice((8, 8))"),
        ({"shape": [4, 4]}, "lattice is {'shape': [4, 4]}: give one such as lf.Lattice((8, 8))"),
        (np.zeros((2, 2)), "lattice is array([[0., 0.], [0., 0.]]): give one such as lf.Lattice((8, 8))"),
        (60 * "8", f"lattice is '{59 * '8'} ...: give one such as lf.Lattice((8, 8))"),
    ],
    ids=lambda value: str(type(value)),
)
def test_what_is_no_lattice_is_refused(wrong, message):
    with pytest.raises(TypeError) as error:
        check_lattice(wrong)
    assert str(error.value) == message


def test_a_lattice_and_its_odd_sites_are_lattices():
    for lattice in (Lattice((4, 4)), OddSites(Lattice((4, 4)))):
        assert check_lattice(lattice) is lattice
