"""Moving pictures of fields."""

import numpy as np
import pytest
from PIL import Image

from lattice_flows import plots


def test_films_stand_beside_each_other_and_the_shorter_one_stops(tmp_path):
    rng = np.random.default_rng(1)
    films = {
        "flow": plots.Film(["noise", "t = 0.5", "t = 1"], rng.normal(size=(3, 4, 4))),
        "HMC": plots.Film(["update 1"], rng.normal(size=(1, 4, 4))),
    }
    plots.animation(tmp_path / "field.gif", films, frames_per_second=5)
    with Image.open(tmp_path / "field.gif") as picture:
        assert (picture.n_frames, picture.info["duration"], picture.info["loop"]) == (3, 200, 0)
        frames = []
        for number in range(3):
            picture.seek(number)
            frames.append(np.asarray(picture.convert("RGB"), float))
    left, right = (np.abs(frames[2] - frames[0])[:, half].max() for half in (slice(0, 250), slice(270, 450)))
    assert left > 50 and right == 0


def test_fields_that_cannot_be_drawn_leave_no_file(tmp_path):
    with pytest.raises(ValueError, match="not finite"):
        plots.animation(tmp_path / "field.gif", {"flow": plots.Film(["noise"], np.full((1, 4, 4), np.nan))})
    assert not list(tmp_path.iterdir())
