"""Moving pictures of fields."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from lattice_flows.io.files import atomic_write
from lattice_flows.plots.configurations import COLOUR_MAP, WIDE, colour_bar, draw_field, mosaic, scale
from lattice_flows.plots.style import styled

__all__ = ["Film", "animation"]

_SIDE, _LARGEST = 3.2, 8.0  # inches, of one film and of all
_COLOURS, _GREYS = 224, 32  # of fields, and of letters and lines; a GIF has 256 at most


class Film(NamedTuple):
    """Fields one after the other.

    Attributes:
      labels: of the frames.
      fields: the frames, `[frames, *lattice_shape]`.
    """

    labels: list[str]
    fields: np.ndarray


@styled
def animation(path: Path, films: Mapping[str, Film], frames_per_second: float = 10.0) -> None:
    """Writes films beside each other as one GIF, which begins again at its end. Shorter films stop at their last frame.

    Wide films, of the slices of three dimensions, stand below each other.

    Args:
      path: the file.
      films: title -> film.
      frames_per_second: how fast it runs.

    Raises:
      RunError: the file cannot be written.
      ValueError: a field that cannot be drawn, see `configuration`.
    """
    norm = scale(_typical(film.fields) for film in films.values())
    first = [mosaic(film.fields[0]) for film in films.values()]
    height, width = max(picture.shape[0] for picture in first), max(picture.shape[1] for picture in first)
    below = width > WIDE * height  # each other, and not beside
    side = _LARGEST if below else min(_SIDE, _LARGEST / len(films))
    rows, columns = (len(films), 1) if below else (1, len(films))
    figure = Figure(figsize=(columns * side + 1.0, rows * (side * height / width + 0.9)), dpi=80)
    canvas, panels = FigureCanvasAgg(figure), figure.subplots(rows, columns, squeeze=False).ravel()
    images = [draw_field(axes, film.fields[0], norm) for axes, film in zip(panels, films.values(), strict=True)]
    colour_bar(figure, images[-1], panels)
    made, palette = [], _palette()
    for number in range(max(len(film.labels) for film in films.values())):
        for axes, image, (title, film) in zip(panels, images, films.items(), strict=True):
            at = min(number, len(film.labels) - 1)
            image.set_data(mosaic(film.fields[at]))
            axes.set_title(f"{title}\n{film.labels[at]}", fontsize=10)
        canvas.draw()
        figure.set_layout_engine("none")  # nothing moves but the fields
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
        made.append(picture.quantize(palette=palette, dither=Image.Dither.NONE))
    buffer = io.BytesIO()
    made[0].save(
        buffer, "GIF", save_all=True, append_images=made[1:], duration=round(1000 / frames_per_second), loop=0, optimize=True
    )
    atomic_write(path, lambda file: file.write(buffer.getvalue()))


def _typical(fields: np.ndarray) -> np.ndarray:
    """The frame whose largest value is in the middle of those of all frames: noise may be larger than fields, or smaller."""
    largest = np.abs(fields).reshape(len(fields), -1).max(axis=1)
    return fields[np.argsort(largest)[len(fields) // 2]]


def _palette() -> Image.Image:
    """The colours of all frames, which are the same so that what stands still does not flicker."""
    of_fields = matplotlib.colormaps[COLOUR_MAP](np.linspace(0, 1, _COLOURS))[:, :3]
    greys = np.repeat(np.linspace(0, 1, _GREYS)[:, np.newaxis], 3, axis=1)
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.rint(255 * np.concatenate([of_fields, greys])).astype(np.uint8).tobytes())
    return palette
