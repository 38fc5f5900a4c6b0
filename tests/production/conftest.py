"""A chain of proposals of a small flow in a file."""

import io

import pytest
from rich.console import Console

from lattice_flows.production import sample_run
from lattice_flows.progress import Progress


@pytest.fixture
def progress():
    return Progress(Console(file=io.StringIO(), width=300))


@pytest.fixture
def drawn(tmp_path, progress, small_config, small_model):
    config, path = small_config(), tmp_path / "ensemble.h5"
    flow, action = small_model

    def draw():
        return sample_run(flow, action, config.chain, seed=config.seed, path=path, progress=progress)

    return draw, flow, action, path
