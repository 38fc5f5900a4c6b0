"""What each part of the default flow contributes: one part is changed at a time, and all flows train for the same time."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from lattice_flows.config import CONFIGS, RunConfig, load
from lattice_flows.paper.step_times import compiled_step
from lattice_flows.pipeline import build_model
from lattice_flows.progress import Progress
from lattice_flows.reading import read_yaml
from lattice_flows.training.devices import choose_strategy
from lattice_flows.training.trainer import train

__all__ = ["Ablation", "ablation", "changes", "run_all"]

_CHANGES = Path(__file__).with_name("ablations.yaml")
_TIMED_STEPS = 15


class Ablation(NamedTuple):
    """The state of a flow after the given training time."""

    parameters: int
    steps: int
    step_ms: float
    acceptance: float
    ess: float


def changes() -> dict[str, Mapping[str, Any]]:
    """Name of the ablation -> what it changes in a configuration."""
    return {name: change or {} for name, change in read_yaml(_CHANGES).items()}


def run_all(tables: Sequence[str], seconds: float, progress: Progress) -> dict[str, dict[str, Ablation]]:
    """All ablations on some ensembles.

    Args:
      tables: the ensembles.
      seconds: training time of each.
      progress: where progress is shown.

    Returns:
      name -> ensemble -> its result.
    """
    found: dict[str, dict[str, Ablation]] = {}
    for name, table, config in _configurations(tables):
        found.setdefault(name, {})[table] = ablation(config, seconds, progress)
        progress.info(f"{name}, {table}: {found[name][table]}")
    return found


def ablation(config: RunConfig, seconds: float, progress: Progress) -> Ablation:
    """Trains for about that many seconds, compilation excluded, with as many steps as fit."""
    step = compiled_step(config)
    step_seconds = median(step(1) for _ in range(_TIMED_STEPS))
    steps = max(int(seconds / step_seconds), 1)
    settings = config.training.model_copy(update={"steps": steps, "evaluate_every": -(-steps // 2)})
    strategy = choose_strategy("cpu")
    summary = train(*build_model(config, strategy), settings, seed=config.seed, strategy=strategy, progress=progress)
    return Ablation(
        parameters=summary.parameters,
        steps=steps,
        step_ms=round(1e3 * step_seconds, 2),
        acceptance=round(summary.acceptance, 3),
        ess=round(summary.ess, 3),
    )


def _configurations(tables: Sequence[str]) -> Iterator[tuple[str, str, RunConfig]]:
    for name, change in changes().items():
        for table in tables:
            yield name, table, load(CONFIGS / f"{table}.yaml", change)
