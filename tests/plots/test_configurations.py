"""Pictures of fields: where every site stands, the scale of the colours, and what cannot be drawn."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from lattice_flows import plots
from lattice_flows.plots.configurations import mosaic, scale


def test_the_first_axis_goes_to_the_right_and_the_second_upwards():
    phi = np.arange(12.0).reshape(4, 3)
    assert mosaic(phi)[2, 1] == phi[1, 2]
    (axes, _) = plots.configuration(phi).axes
    assert axes.images[0].origin == "lower" and (axes.get_xlabel(), axes.get_ylabel()) == ("$x_1$", "$x_2$")


def test_a_tall_lattice_lies_on_its_side():
    phi = np.arange(40.0).reshape(2, 20)
    assert mosaic(phi)[1, 7] == phi[1, 7]
    figure = plots.configuration(phi)
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("$x_2$", "$x_1$")
    assert figure.get_figheight() < figure.get_figwidth()


@pytest.mark.parametrize("shape", [(5,), (4, 3), (4, 3, 2), (3, 4, 2, 5), (20, 20, 3)])
def test_every_site_is_drawn_once_and_gaps_are_empty(shape):
    phi = np.random.default_rng(1).normal(size=shape)
    picture = mosaic(phi)
    assert sorted(picture[np.isfinite(picture)]) == sorted(phi.ravel())


def test_slices_stand_beside_and_above_each_other():
    phi = np.random.default_rng(1).normal(size=(3, 4, 2, 5))
    picture, gap = mosaic(phi), 1
    x1, x2, x3, x4 = 2, 3, 1, 4
    assert picture[x4 * (4 + gap) + x2, x3 * (3 + gap) + x1] == phi[x1, x2, x3, x4]


def test_the_colours_are_symmetric_around_zero_and_shared():
    norm = scale([np.array([0.5, -2.0]), np.array([1.0, 3.0])])
    assert (norm.vmin, norm.vmax, norm(0.0)) == (-3, 3, 0.5)
    assert scale([np.zeros(3)]).vmax == 1
    figure = plots.configurations({"a": np.ones((2, 2)), "b": -3 * np.ones((2, 2))})
    assert {(image.norm.vmin, image.norm.vmax) for axes in figure.axes for image in axes.images} == {(-3, 3)}


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match=r"1 to 4 dimensions can be drawn, got the shape \(1, 1, 1, 1, 1\)"):
        plots.configuration(np.zeros((1, 1, 1, 1, 1)))
    with pytest.raises(ValueError, match="not finite"):
        plots.configuration(np.array([[np.nan]]))


def test_titles_of_two_lines_have_room():
    figure = plots.configurations({f"{k} of 32\ncoupling {k}": np.eye(6) for k in range(5)}, columns=5)
    FigureCanvasAgg(figure).draw()
    for text in (*(axes.title for axes in figure.axes[:5]), figure.axes[0].xaxis.label):
        assert figure.bbox.count_contains(text.get_window_extent().corners()) == 4
