"""Curves through the transition: what comes with the package, how it is drawn, and what it is held against."""

import json

import pytest
import tensorflow as tf

from lattice_flows.api import load
from lattice_flows.config import ConfigError
from lattice_flows.measurement.curves import crossing, curve
from lattice_flows.measurement.errors import Estimate, pull
from lattice_flows.paper import scan
from lattice_flows.paper.references import critical_coupling
from lattice_flows.paper.scan import SCANS, stored
from lattice_flows.paper.scan_curves import ScanCurves
from lattice_flows.progress import Progress


@pytest.fixture(scope="module", params=SCANS)
def found(request):
    return request.param, stored(request.param)


def test_stored_curves_agree_with_hmc_and_with_themselves(found):
    name, curves = found
    text, agree = curves.findings()
    assert agree, text
    assert list(curves.curves) == [extent for extent in SCANS[name].extents if extent in curves.curves]
    for points in curves.curves.values():
        couplings = [point.coupling for point in points]
        assert set(SCANS[name].near) <= set(couplings) and couplings == sorted(couplings)
        assert all(point.trusted for point in points if point.coupling > SCANS[name].near[6])


def test_curves_are_stored_as_they_are(found):
    _, curves = found
    assert ScanCurves.from_json(json.loads(json.dumps(curves.to_json()))) == curves
    (extent, (point, *_)), *_ = curves.curves.items()
    both = curves._replace(curves={extent: [point._replace(positive_magnetization=Estimate(0.5, 0.01))]})
    again = ScanCurves.from_json(json.loads(json.dumps(both.to_json())))
    assert again == both and again.curves[extent][0].trusted == point.trusted


def test_what_a_file_does_not_know_is_said(found):
    """As the files that come with the package; no point loses its trust for it."""
    _, curves = found
    point = next(iter(curves.curves.values()))[0]
    assert (point.integration_error, point.non_finite_weights, point.positive_magnetization) == (None, None, None)
    said = "not recorded, and so not asked for where points are trusted: the integration error, the share of weights"
    assert said in curves.findings()[0]
    known = {"integration_error": 0.0, "non_finite_weights": 0.0, "positive_magnetization": Estimate(0.5, 0.01)}
    known_curves = {extent: [each._replace(**known) for each in points] for extent, points in curves.curves.items()}
    assert "not recorded" not in curves._replace(curves=known_curves).findings()[0]


def test_figures_of_stored_curves_need_no_flow(tmp_path):
    assert scan.reproduce(out=tmp_path, from_stored=True)
    for name in SCANS:
        assert (tmp_path / "figures" / f"scan_{name}.png").exists()
        assert "from one flow for all couplings" in (tmp_path / "figures" / f"scan_{name}.md").read_text()


def test_binder_cumulants_cross_near_the_published_coupling():
    """From above: crossings of small lattices fall towards it."""
    curves, critical = stored("2d"), critical_coupling(2, -4.0)
    assert curves.critical == critical and critical[:2] == pytest.approx((4.26, 0.0165)) and critical_coupling(3, -4.0) is None
    small, large = (crossing(curves.curves[one], curves.curves[other], *curves.near) for one, other in ((6, 8), (8, 10)))
    assert critical.value < large.value < small.value + 2 * small.error < 4.6


def test_stored_weights_give_the_stored_points():
    """With other proposals, where the stored curve has its first, its middle and its last point."""
    flow, action = load("2d_L6", "scan")
    points = stored("2d").curves[6]
    chosen = [points[0], points[len(points) // 2], points[-1]]
    for now, then in zip(curve(flow, action, [point.coupling for point in chosen], samples=2048, seed=7), chosen, strict=True):
        assert now.ess == pytest.approx(then.ess, abs=0.1)
        for name, number in now.estimates.items():
            assert abs(pull(number, then.estimates[name])) < 4, name


def test_couplings_stay_in_the_range_of_the_flow():
    flow, action = load("2d_L6", "scan")
    couplings = SCANS["2d"].couplings(flow, action)
    assert 6.975 in couplings and couplings == sorted(couplings)  # E1
    assert SCANS["2d"].configuration(8, quick=True).training.steps == 100
    assert SCANS["3d"].configuration(6).lattice.shape == (6, 6, 6)
    assert float(tf.convert_to_tensor(flow.coupling)) == pytest.approx(action.parameters["lam"])


def test_missing_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(scan, "TRAINED", tmp_path)
    with pytest.raises(ConfigError, match=r"no weights .*2d_L6.npz.*train without --pretrained"):
        scan.reproduce(out=tmp_path, pretrained=True, scans=["2d"])


@pytest.mark.slow
def test_a_quick_scan_leaves_its_curves(tmp_path):
    """Trains the two smallest lattices, and again finds them done."""
    for resume in (False, True):
        scan.reproduce(out=tmp_path, scans=["2d"], quick=True, resume=resume, progress=Progress(quiet=True))
        content = json.loads((tmp_path / "scan" / "2d.json").read_text())
        assert list(content["curves"]) == ["6", "8"] and (tmp_path / "scan" / "2d_L8" / "weights.npz").exists()
