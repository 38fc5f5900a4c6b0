"""Pictures of fields."""

from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from lattice_flows.plots.style import styled

__all__ = ["COLOUR_MAP", "WIDE", "colour_bar", "configuration", "configurations", "draw_field", "mosaic", "scale"]

COLOUR_MAP = "RdBu_r"  # white at zero, as dark on both sides
_WITHIN = 0.995  # of all values are within the scale
_WIDTH = 6.8  # inches of a row
_TEXTS, _LINE = 0.6, 0.2  # inches, of a title and what is below a picture, and of a further line
_APART = 0.15  # share of the width of a picture
WIDE = 2  # pictures of this ratio of sides or more have a row for each


@styled
def configuration(phi: np.ndarray, title: str = "") -> Figure:
    """A field as a picture, on a colour scale that is symmetric around zero.

    In two dimensions every site is a square. In three and four, the slices that are perpendicular to the last axes stand beside
    each other, those of `x_3` from left to right and those of `x_4` from the bottom to the top.

    ```python
    figure = lf.plots.configuration(np.random.default_rng(1).normal(size=(8, 8)), "noise")
    ```

    Args:
      phi: `[*lattice_shape]`, in one to four dimensions.
      title: of the picture.

    Raises:
      ValueError: another number of dimensions, or no finite field.
    """
    return configurations({title: phi})


@styled
def configurations(fields: Mapping[str, np.ndarray], columns: int = 4) -> Figure:
    """Several fields beside each other, on one colour scale.

    Args:
      fields: title -> field, `[*lattice_shape]`.
      columns: pictures in a row, at most; wide ones, of the slices of three dimensions, stand below each other.

    Raises:
      ValueError: as `configuration`.
    """
    norm = scale(fields.values())
    pictures = [mosaic(phi) for phi in fields.values()]
    height, width = max(picture.shape[0] for picture in pictures), max(picture.shape[1] for picture in pictures)
    columns = 1 if width > WIDE * height else min(columns, len(fields))
    rows = -(-len(fields) // columns)
    side = 6.4 if width > WIDE * height else min(1.7, _WIDTH / columns) if len(fields) > 1 else 3.6
    texts = _TEXTS + _LINE * max(title.count("\n") for title in fields)
    figure = Figure(figsize=(columns * side + 0.9, rows * (max(side * height / width, 0.6) + texts)))
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, (title, phi) in zip(panels.flat, fields.items(), strict=False):
        image = draw_field(axes, phi, norm, labelled=axes is panels[-1][0])
        axes.set_title(title, fontsize=10)
    for axes in list(panels.flat)[len(fields) :]:
        axes.set_axis_off()
    if columns > 1 and max(map(np.ndim, fields.values())) > 2:  # further from each other than their slices are
        figure.set_layout_engine("constrained", wspace=_APART)
    colour_bar(figure, image, panels)
    return figure


def colour_bar(figure: Figure, image: AxesImage, panels: np.ndarray) -> None:
    """Adds the scale of the colours beside some panels."""
    bar = figure.colorbar(image, ax=panels, shrink=0.8, aspect=15, extend="both")
    bar.set_label(r"$\phi$", rotation=0)
    bar.solids.set_rasterized(True)  # type: ignore[union-attr]


def scale(fields: Iterable[np.ndarray]) -> Normalize:
    """A scale for the colours of fields that is symmetric around zero; the 0.5 % largest values have the colours of its ends.

    Raises:
      ValueError: a field that is not finite.
    """
    sizes = np.abs(np.concatenate([np.ravel(phi) for phi in fields]))
    if not np.isfinite(sizes).all():
        raise ValueError("a field that is not finite cannot be drawn")
    largest = float(np.quantile(sizes, _WITHIN, method="higher")) or 1.0
    return Normalize(-largest, largest)


def draw_field(axes: Axes, phi: np.ndarray, norm: Normalize, *, labelled: bool = True) -> AxesImage:
    """Draws a field, or its slices, into axes.

    Args:
      axes: where.
      phi: `[*lattice_shape]`.
      norm: of the colours.
      labelled: whether the axes say which direction is which.
    """
    image = axes.imshow(mosaic(phi), cmap=COLOUR_MAP, norm=norm, origin="lower", interpolation="none")
    if np.ndim(phi) == 2 and labelled:
        right, up = (2, 1) if _lies(phi) else (1, 2)
        axes.set(xlabel=f"$x_{right}$", ylabel=f"$x_{up}$")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(4, integer=True))
    else:
        axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if np.ndim(phi) != 2 and labelled:
        axes.set_xlabel(r"$x_1$" if np.ndim(phi) == 1 else rf"slices of $x_3$ = 0 ... {phi.shape[2] - 1}")
        axes.set_ylabel(rf"of $x_4$ = 0 ... {phi.shape[3] - 1}" if np.ndim(phi) == 4 else "")
    return image


def mosaic(phi: np.ndarray) -> np.ndarray:
    """A field as a matrix, the first axis of the lattice from left to right and the second upwards; of a tall one, the other way.

    Slices of more dimensions have a gap of NaN between them, so wide that it is seen.

    Raises:
      ValueError: not one to four dimensions.
    """
    phi = np.asarray(phi, np.float64)
    if not 1 <= phi.ndim <= 4:
        raise ValueError(f"a field of 1 to 4 dimensions can be drawn, got the shape {phi.shape}: give one configuration")
    if phi.ndim <= 2:
        return np.atleast_2d(phi if _lies(phi) else phi.T)
    slices = phi[..., np.newaxis] if phi.ndim == 3 else phi
    gap = max(1, round(phi.shape[0] / 10))
    padded = np.pad(slices, ((0, gap), (0, gap), (0, 0), (0, 0)), constant_values=np.nan)
    # [x1, x2, x3, x4] -> [x4, x2, x3, x1], whose pairs are rows and columns.
    arranged = padded.transpose(3, 1, 2, 0)
    return arranged.reshape(padded.shape[3] * padded.shape[1], padded.shape[2] * padded.shape[0])[:-gap, :-gap]


def _lies(phi: np.ndarray) -> bool:
    """Whether a field is so tall that it is drawn on its side."""
    return phi.ndim == 2 and phi.shape[1] > WIDE * phi.shape[0]
