"""Nothing is lost when a process is killed, at whatever call."""

import subprocess
import sys

import growing
import numpy as np
import pytest

from lattice_flows.io.arrays import Checkpoints

CALLS = 800  # an undisturbed run makes fewer than 400


def run(folder, n):
    command = [sys.executable, growing.__file__, str(folder), str(n)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("deaths", [5, pytest.param(30, marks=pytest.mark.slow)])
def test_a_run_that_was_killed_at_random_moments_ends_as_an_undisturbed_one(tmp_path, deaths):
    growing.draw(tmp_path / "undisturbed.h5")
    killed, rng = 0, np.random.default_rng(deaths)
    while killed < deaths:
        done = run(tmp_path / "run", rng.integers(1, 300))
        assert done.returncode in (0, -9), done.stderr
        killed += done.returncode == -9
        checkpoint = Checkpoints(tmp_path / "run" / "checkpoints").latest(pytest.fail)
        if checkpoint:
            assert (checkpoint[0]["x"] == checkpoint[1]["step"]).all()
        if done.returncode == 0:
            (tmp_path / "run" / "e.h5").unlink()  # and begin again
    done = run(tmp_path / "run", CALLS)
    assert done.returncode == 0, done.stderr
    np.testing.assert_equal(growing.content(tmp_path / "run" / "e.h5"), growing.content(tmp_path / "undisturbed.h5"))
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"e.h5", "checkpoints", ".lock"}
