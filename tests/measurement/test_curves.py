"""Observables as functions of a coupling."""

import numpy as np
import pytest

from lattice_flows.actions import ScalarPhi4
from lattice_flows.flows import affine, conditioned
from lattice_flows.importance import INTEGRATION_TOLERANCE, WeightedSampler, log_z
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.curves import Point, crossing, curve, derivative_pulls
from lattice_flows.measurement.errors import Estimate

SIGMAS = 4.0
LATTICE = Lattice((4, 4))
# An untrained flow, which is the free field with m2 = 1 and a little more.
FREE = {"name": "affine", "layers": 2, "fourier_scaling": False, "element_wise_maps": False}


def test_the_free_field_at_several_masses():
    """`log Z = (V/2) log pi - (1/2) sum_p log(phat^2 + m2)` and `chi_2 = 1 / (2 m2)`."""
    flow = conditioned(LATTICE, condition="m2", knots=(0.7, 1.6), of=FREE)
    momentum_squared = sum(4 * np.sin(np.pi * k / 4) ** 2 for k in np.indices((4, 4)))
    points = curve(flow, ScalarPhi4(LATTICE, m2=1.0, lam=0.0), [0.8, 1.0, 1.4], samples=4096)
    assert [point.coupling for point in points] == [0.8, 1.0, 1.4] and all(point.trusted for point in points)
    for point in points:
        free_energy = -(16 * np.log(np.pi) - np.sum(np.log(momentum_squared + point.coupling))) / 32
        for name, exact in {"free_energy_density": free_energy, "two_point_susceptibility": 1 / (2 * point.coupling)}.items():
            value, error = point.estimates[name][:2]
            assert abs(value - exact) < SIGMAS * error + 1e-9, name
            assert error < 0.05 * abs(exact) + 1e-3


def test_the_derivative_of_the_free_energy_is_the_mean_of_phi_to_the_fourth():
    flow = conditioned(LATTICE, knots=(0.0, 1.0), of=FREE)
    action = ScalarPhi4(LATTICE, m2=1.0, lam=0.5)
    points = curve(flow, action, np.linspace(0, 0.6, 7), samples=4096)
    pulls = derivative_pulls(points)
    assert len(pulls) == 6 and np.abs(pulls).max() < SIGMAS
    f, error, *_ = points[3].estimates["free_energy_density"]
    shifted = points[3].estimates | {"free_energy_density": Estimate(f + 10 * error, error)}
    assert np.abs(derivative_pulls([*points[:3], points[3]._replace(estimates=shifted), *points[4:]])).max() > SIGMAS


@pytest.mark.slow
def test_a_flow_that_is_integrated_gets_the_steps_that_its_weights_need():
    of = {"name": "continuous", "integrator": "rk4", "steps": 1, "knots": 2, "features": 1}
    flow = conditioned(LATTICE, condition="m2", knots=(0.7, 1.6), of=of)
    for variable in flow.bijector.trainable_variables:
        variable.assign_add(np.random.default_rng(3).normal(scale=0.15, size=variable.shape))
    action = ScalarPhi4(LATTICE, m2=1.0, lam=0.0)
    (point,) = curve(flow, action, [1.0], samples=1024)
    log_of_z, error = (LATTICE.volume * number for number in point.estimates["free_energy_density"][:2])
    sampler = WeightedSampler(flow, action.varied("m2", flow.coupling), 512, seed=1)
    used = sampler.integrated(INTEGRATION_TOLERANCE, 512, print)
    (coarse, _), (found, statistical), (accurate, _) = (
        log_z(each.log_weights(1024, "curve")) for each in (sampler, used, used.refined().refined())
    )
    assert 5 * abs(found - accurate) < abs(coarse - accurate)
    assert -log_of_z == pytest.approx(found, rel=1e-6)
    assert error == pytest.approx(np.hypot(statistical, used.integration_error["mean"]), rel=1e-9) and error > statistical
    assert list(flow.integration_steps.values()) == [1]  # the flow itself stays what it was


def test_a_flow_for_one_of_two_signs_is_not_trusted():
    """Its weights are good and its free energy is off by log 2 / V."""
    one_sign = FREE | {"prior": {"name": "free_field", "m2": 1.0, "mean_field": 3.0}}
    action = ScalarPhi4(LATTICE, m2=1.0, lam=0.0)
    (shifted,) = curve(conditioned(LATTICE, knots=(0.0, 1.0), of=one_sign), action, [0.0], samples=2048)
    assert shifted.positive_magnetization.value > 0.99 and not shifted.trusted
    (centred,) = curve(conditioned(LATTICE, knots=(0.0, 1.0), of=FREE), action, [0.0], samples=2048)
    assert centred.trusted
    for worse in ({"integration_error": 0.02}, {"non_finite_weights": 0.01}, {"positive_magnetization": Estimate(0.6, 0.02)}):
        assert not centred._replace(**worse).trusted


def test_a_weight_that_is_not_a_number_is_none(monkeypatch):
    batches = WeightedSampler.batches

    def broken(self, *arguments):
        for phi, log_weight in batches(self, *arguments):
            phi[3], log_weight[3] = np.nan, np.nan
            yield phi, log_weight

    flow, action = conditioned(LATTICE, knots=(0.0, 1.0), of=FREE), ScalarPhi4(LATTICE, m2=1.0, lam=0.0)
    (whole,) = curve(flow, action, [0.0], samples=1024)
    monkeypatch.setattr(WeightedSampler, "batches", broken)
    (point,) = curve(flow, action, [0.0], samples=1024)
    assert point.non_finite_weights == 2 / 1024 and whole.non_finite_weights == 0.0 and not point.trusted
    for name, (value, error, *_) in point.estimates.items():
        assert abs(value - whole.estimates[name].value) < error, name


def test_a_curve_needs_a_flow_for_its_range():
    action = ScalarPhi4(LATTICE, m2=1.0, lam=0.5)
    with pytest.raises(ValueError, match="needs a flow for a range of couplings"):
        curve(affine(LATTICE, layers=2), action, [0.5])
    with pytest.raises(ValueError, match="between 0 and 1, got 2"):
        curve(conditioned(LATTICE, knots=(0.0, 1.0), of=FREE), action, [0.5, 2.0])


def points_of(slope, noise=0.002, at=4.26, seed=1, **changes):
    """A Binder cumulant that is 0.6 at a coupling, and falls there."""
    rng = np.random.default_rng(seed)
    return [
        Point(lam, {"binder_cumulant": Estimate(0.6 - slope * (lam - at) + rng.normal(scale=noise), noise)}, 4096, 0.9, 0.1, 0.1)
        for lam in np.linspace(4.0, 4.6, 13)
    ]


def test_binder_cumulants_cross():
    found = [crossing(points_of(0.2, seed=seed), points_of(0.35, seed=seed + 100), 4.0, 4.6) for seed in range(20)]
    pulls = [(number.value - 4.26) / number.error for number in found]
    assert 0.6 < np.std(pulls) < 1.5 and abs(np.mean(pulls)) < SIGMAS / np.sqrt(20)


def test_points_that_cannot_be_trusted_do_not_count():
    good = points_of(0.2)
    heavy = good[3]._replace(k_hat=0.9, estimates={"binder_cumulant": Estimate(9.0, 1e-4)})
    few = good[4]._replace(ess=0.01)
    assert not heavy.trusted and not few.trusted and good[3].trusted
    found = crossing([*good[:3], heavy, few, *good[5:]], points_of(0.35, seed=2), 4.0, 4.6)
    assert abs(found.value - 4.26) < SIGMAS * found.error
    with pytest.raises(ValueError, match="needs 5 points that can be trusted, got 1"):
        crossing([heavy, few, good[0]], good, 4.0, 4.6)
    with pytest.raises(ValueError, match="do not cross where both curves have points that can be trusted"):
        crossing(good, points_of(0.2, at=4.5), 4.0, 4.6)


def test_only_a_crossing_of_the_right_direction_counts():
    steeper = points_of(0.35, seed=2)
    with pytest.raises(ValueError, match="do not cross where both curves have points that can be trusted"):
        crossing(steeper, points_of(0.2), 4.0, 4.6)  # the larger lattice would have the larger cumulant above the crossing


def test_a_crossing_that_noise_makes_is_refused():
    one, other = points_of(0.2, noise=0.02), points_of(0.2, noise=0.02, seed=2)
    with pytest.raises(ValueError, match="do not cross once between"):
        crossing(one, other, 4.0, 4.6)


def bent(width, seed, noise=1e-3):
    """A Binder cumulant that bends towards 2/3 and 0, not symmetrically, with the same value at 4.26 for every width."""
    couplings = np.linspace(4.0, 4.6, 25)
    values = 2 / 3 * np.exp(-0.4 * np.exp((couplings - 4.26) / width)) + np.random.default_rng(seed).normal(scale=noise, size=25)
    return [
        Point(lam, {"binder_cumulant": Estimate(u4, noise)}, 4096, 0.9, 0.1, 0.1) for lam, u4 in zip(couplings, values, strict=True)
    ]


def test_far_points_that_no_cubic_fits_are_left_out():
    """Half an error is left for the bias, which is one error in the largest window with p > .1, and two at p > .001."""
    found = [crossing(bent(0.3, seed), bent(0.15, seed + 100), 4.0, 4.6) for seed in range(40)]
    pulls = [(number.value - 4.26) / number.error for number in found]
    assert 0.6 < np.std(pulls) < 1.5 and abs(np.mean(pulls)) < 0.5 + 2 / np.sqrt(40)
    assert all(number.error < 5e-3 for number in found)


def test_a_crossing_needs_points_of_both_curves_that_can_be_trusted():
    steep, flat = points_of(0.35, seed=2), points_of(0.2)
    with pytest.raises(ValueError, match="do not cross where both curves have points that can be trusted"):
        crossing(flat[:5], steep[6:], 4.0, 4.6)
    holed = [point._replace(ess=0.01) if abs(point.coupling - 4.275) < 0.03 else point for point in steep]
    with pytest.raises(ValueError, match=r"seem to cross at 4\.2.*, where points of a curve cannot be trusted"):
        crossing(flat, holed, 4.0, 4.6)


def test_a_polynomial_that_does_not_fit_is_refused():
    steep = points_of(0.35, noise=1e-4)
    rough = [
        point._replace(estimates={"binder_cumulant": Estimate(point.estimates["binder_cumulant"].value + 0.005 * (-1) ** at, 1e-4)})
        for at, point in enumerate(steep)
    ]
    with pytest.raises(ValueError, match="no cubic polynomial fits"):
        crossing(points_of(0.2), rough, 4.0, 4.6)
