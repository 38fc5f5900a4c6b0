"""Figures appear in both forms and survive what is missing; how they look is for the eye."""

import numpy as np

from lattice_flows import plots
from lattice_flows.measurement.errors import Estimate


def test_every_figure_is_written(tmp_path):
    points = [Estimate(1.0 / (t + 1), 0.01) for t in range(4)]
    metrics = {name: [0.1, 0.2, 0.3] for name in ("acceptance", "ess")} | {"step": [1, 2, 3], "loss": [3, 2, 1], "log_z": [0, 0, 0]}
    figures = {
        "history": plots.training_history({"run": [metrics, metrics], "other": [metrics]}, "title"),
        "depth": plots.quality_against("layers", {"": [(16, 0.7, 0.6, True), (1, 0.2, 0.1, True)]}),
        "kinds": plots.quality_against(
            "network", {"seed = 1": [("dense", 0.7, 0.6, True)], "seed = 2": [("conv", 0.7, 0.6, False)]}
        ),
        "coupling": plots.against_coupling(
            {"f": {"L = 4": ([1, 2, 3, 4], points, [True, True, True, False])}}, "title", "lam", (1.5, 2.5)
        ),
        "green": plots.zero_momentum_green({"flow": points, "HMC": points}, "title"),
        "mass": plots.effective_mass({"flow": [points[0], None, points[2]]}, {}, "title"),
        "band": plots.effective_mass({"flow": points}, {"flow": points[0]}, "title"),
        "runs": plots.rejection_histogram({"flow": (np.array([0, 5, 3, 1]), 30), "HMC": ([0, 4], 30)}, "title"),
        "no_runs": plots.rejection_histogram({"flow": (np.array([0]), 30)}, "title"),
        "rho": plots.autocorrelation_function({"flow": points, "HMC": points}, "updates", "title"),
        "weights": plots.action_against_log_q(np.array([1.0, 2.1, np.inf]), np.array([-3.0, -4.0, -5.0]), "title"),
        "log_weights": plots.log_weight_histogram({"flow": np.array([1.0, 2.0, -np.inf]), "none": np.array([np.nan])}, "title"),
        "field": plots.configuration(np.zeros((4, 4)), "title"),
        "fields": plots.configurations({"a": np.ones((4, 4, 3)), "b": -np.ones((4, 4, 3))}),
        "observables": plots.observables_against_extent(
            {"E": {"flow": {6: points[0], 8: points[1]}, "HMC": {6: points[0]}}}, "title"
        ),
        "errors": plots.errors_against_number({"E": {"flow": ([10, 1000], [0.1, 0.01])}}, "title"),
        "times": plots.autocorrelation_times(
            {"HMC": {"E": ({6: points[0], 8: points[1]}, (Estimate(1.0, 0.1), Estimate(0.5, 0.1)))}}, "title"
        ),
    }
    for name, figure in figures.items():
        plots.save(figure, tmp_path / "figures", name)
        assert (tmp_path / "figures" / f"{name}.png").read_bytes()[1:4] == b"PNG"
        assert (tmp_path / "figures" / f"{name}.pdf").read_bytes()[:4] == b"%PDF"


def test_the_history_may_be_what_numpy_reads_from_a_file():
    read = np.genfromtxt(["step,loss,ess,acceptance,log_z,kl", "10,-1,.5,.5,2,.3", "20,-2,.6,.6,2,.2"], delimiter=",", names=True)
    panel = plots.training_history({"run": [read]}).axes[0]
    np.testing.assert_array_equal(panel.lines[0].get_ydata(), [0.3, 0.2])


def test_a_correlator_below_zero_is_seen_on_a_logarithmic_axis():
    """Shown are both points that are not above zero, and no other, with a word for them."""
    points = [Estimate(value, 0.2) for value in (1.0, -0.1, 0.3, 0.0)]
    (axes,) = plots.zero_momentum_green({"flow": points, "HMC": points[:1]}).axes
    (hidden,) = [line for line in axes.lines if line.get_label() == "flow: not above 0"]
    np.testing.assert_array_equal(hidden.get_xdata(), [1, 3])
    assert axes.get_yscale() == "log" and not [line for line in axes.lines if line.get_label().startswith("HMC: ")]


def test_a_sampler_is_part_of_the_mean_that_it_is_compared_with():
    """Of two with equal errors, each is half of their difference from the mean, with 1 / sqrt(2) of their error."""
    values = {"E": {"flow": {6: Estimate(1.1, 0.1)}, "HMC": {6: Estimate(0.9, 0.1), 8: Estimate(2.0, 0.1)}}}
    lower = plots.observables_against_extent(values, "title").axes[1]
    (flow,), hmc = ([np.ptp(bar[:, 1]) / 2 for bar in one[2][0].get_segments()] for one in lower.containers)
    np.testing.assert_allclose([flow, *hmc], [10 / np.sqrt(2), 10 / np.sqrt(2), 0.0])
    assert lower.get_ylabel() == "from the mean [%]"
