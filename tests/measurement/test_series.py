"""Time series against their definitions, site by site."""

import numpy as np
import pytest
from exact import slow_two_point

from lattice_flows.actions import ScalarPhi4
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.identities import IDENTITIES
from lattice_flows.measurement.series import GENERAL, measured, smooth_powers, time_series

SHAPES = [(4, 4), (2, 4), (2, 4, 4), (2, 2, 2, 4), (3, 5)]


@pytest.mark.parametrize("shape", SHAPES)
def test_time_series_are_their_definitions(shape):
    lattice = Lattice(shape)
    phi = np.random.default_rng(1).normal(size=(3, *shape))
    series = time_series(phi, lattice.time_axes)
    for index, field in enumerate(phi):
        green = slow_two_point(field)
        unit = np.eye(lattice.d, dtype=int)
        in_time = [green.mean(axis=tuple(a for a in range(lattice.d) if a != axis - 1)) for axis in lattice.time_axes]
        expected = {
            "magnetization": field.mean(),
            "absolute_magnetization": abs(field.mean()),
            "magnetization_2": green.sum() / lattice.volume,
            "magnetization_4": field.mean() ** 4,
            "phi_2": np.mean(field**2),
            "phi_4": np.mean(field**4),
            "nearest": np.mean([green[tuple(step)] for step in unit]),
            "positive_magnetization": float(field.mean() > 0),
            "zero_momentum_green": np.mean(in_time, axis=0)[: max(shape) // 2 + 1],
        }
        assert tuple(series) == tuple(expected) == GENERAL
        for name, value in expected.items():
            np.testing.assert_allclose(series[name][index], value, rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(("shape", "lengths"), [((4, 4), [1.5]), ((12, 14), [1.5, 3.0]), ((24, 24), [1.5, 3.0, 6.0])])
def test_smooth_powers_are_their_definition(shape, lengths):
    phi = np.random.default_rng(2).normal(size=(3, *shape))
    modes, squared = np.fft.fftn(phi, axes=(1, 2)), Lattice(shape).momentum_squared()
    smooth = [np.fft.ifftn(np.exp(-(length**2) * squared / 2) * modes, axes=(1, 2)).real for length in lengths]
    expected = [np.mean(field**power, axis=(1, 2)) for field in smooth for power in (4, 6)]
    np.testing.assert_allclose(smooth_powers(phi, Lattice(shape)), np.transpose(expected), rtol=1e-10)


def test_all_series_of_configurations_of_several_chains():
    action = ScalarPhi4(Lattice((4, 4)), m2=1.0, lam=0.5)
    phi = np.random.default_rng(2).normal(size=(5, 3, 4, 4)).astype(np.float32)
    series = measured(phi, action)
    assert {*series} == {*GENERAL, "action_density", "schwinger_dyson", *IDENTITIES}
    assert series["zero_momentum_green"].shape == (5, 3, 3)
    np.testing.assert_array_equal(series["action_density"][:, 1], measured(phi[:, 1], action)["action_density"])
    assert series["phi_2"].dtype == np.float64
    with pytest.raises(ValueError, match=r"\[n, \(4, 4\)\] or \[n, chains, \(4, 4\)\], got \(5, 3, 4\)"):
        measured(phi[..., 0], action)
