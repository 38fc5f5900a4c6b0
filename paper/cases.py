"""Which runs the reproduction has: their configurations and folders, and where their weights and results are stored."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lattice_flows.config import CONFIGS, TRAINED, ConfigError, RunConfig, load, on_top, trained_weights

__all__ = [
    "DIMENSIONS",
    "FIGURES",
    "GROUPS",
    "LARGER",
    "RESULTS",
    "STOPS",
    "TABLES",
    "TRAINED",
    "Case",
    "common_dimension",
    "expanded",
    "needed",
]

TABLES = ("E1", "E2", "E3", "E4", "E5")
# Beyond the paper, on the same line of constant physics.
LARGER = ("L16", "L20", "L32", "L64", "L128")
# Beyond the paper, two to four dimensions: both phases, near the transition, and lines of constant physics.
DIMENSIONS = (
    *("2d_L8_lam8", "2d_L4_lam5", "2d_L8_lam5", "2d_L6_broken"),
    *("3d_L4_broken", "3d_L8_broken", "3d_L8_symmetric", "3d_L8_transition"),
    *("3d_L6", "3d_L8", "3d_L10", "3d_L12", "3d_L16"),
    *("4d_L4_broken", "4d_L8_broken", "4d_L4", "4d_L6", "4d_L8"),
)
GROUPS = {"all": TABLES, "dimensions": DIMENSIONS}
# The acceptances at which the paper compares flows.
STOPS = (0.5, 0.7)
_QUICK_STEPS, _QUICK_LENGTH = 100, 20000  # at most
RESULTS = Path(__file__).with_name("results")
_FIXED_ACCEPTANCE = Path(__file__).with_name("fixed_acceptance.yaml")


class Case(NamedTuple):
    """One run of the reproduction.

    Attributes:
      table: the ensemble, of `TABLES`, `LARGER` or `DIMENSIONS`.
      stop: the acceptance at which training stops; None to train to the end.
    """

    table: str
    stop: float | None = None

    def configuration(self, overrides: Sequence[Mapping[str, Any] | Path] = (), *, quick: bool = False) -> RunConfig:
        """The configuration of the run.

        From the weakest to the strongest: the ensemble's file, the presets among the overrides (files, such as a flow), the
        settings of a quick run, those of a training that stops early, and the other overrides (mappings, such as single flags).

        Args:
          overrides: presets and mappings.
          quick: a small run.

        Raises:
          ConfigError: a file or an entry that cannot be used.
        """
        layers: list[Mapping[str, Any] | Path] = [override for override in overrides if isinstance(override, Path)]
        if quick:
            layers.append(_quick(load(CONFIGS / f"{self.table}.yaml", *layers)))
        if self.stop is not None:
            layers += [_FIXED_ACCEPTANCE, {"training": {"target_acceptance": self.stop}}]
        layers += [override for override in overrides if not isinstance(override, Path)]
        return load(CONFIGS / f"{self.table}.yaml", *layers)

    def folder(self, out: Path) -> Path:
        """The run directory below an output folder."""
        return (out if self.stop is None else out / f"at_{100 * self.stop:.0f}") / self.table

    def stored_as(self, flow_name: str) -> str:
        """The folder of the run in `paper/trained` and `paper/results`, such as "affine" or "affine_50"."""
        return flow_name if self.stop is None else f"{flow_name}_{100 * self.stop:.0f}"

    def weights(self, flow_name: str) -> Path:
        """The stored weights of a flow.

        Raises:
          ConfigError: there are none.
        """
        path = TRAINED / self.stored_as(flow_name) / f"{self.table}.npz"
        if not path.exists():
            wanted = path.relative_to(TRAINED).with_suffix("")
            raise ConfigError(
                f"no pretrained weights {wanted} available: train without --pretrained. Available: {', '.join(trained_weights())}"
            )
        return path


def _quick(config: RunConfig) -> dict[str, Any]:
    """What makes a run a quick one: fewer steps of the training and of its stages, and a shorter chain."""

    def quick(run: RunConfig) -> dict[str, Any]:
        steps = min(run.training.steps, _QUICK_STEPS)
        return {"training": {"steps": steps, "evaluate_every": max(steps // 2, 1), "target_acceptance": None}}

    stages = [on_top(entries, quick(run)) for entries, run in zip(config.stages, config.stage_configs(), strict=True)]
    return quick(config) | {"stages": stages, "chain": {"length": min(config.chain.length, _QUICK_LENGTH)}}


def expanded(names: Iterable[str]) -> list[str]:
    """Ensembles, each once, in the place of names of ensembles and of groups of them."""
    return list(dict.fromkeys(table for name in names for table in GROUPS.get(name, (name,))))


def common_dimension(tables: Iterable[str]) -> int:
    """The number of dimensions that ensembles have in common.

    Raises:
      ConfigError: they have different ones.
    """
    found = {table: len(Case(table).configuration().lattice.shape) for table in tables}
    if len(set(found.values())) != 1:
        listed = ", ".join(f"{table} has {d} dimensions" for table, d in found.items())
        raise ConfigError(f"one extent in every direction fits ensembles of equal dimensions alone, but {listed}: use --shape")
    return next(iter(found.values()))


# Figure of the paper -> the runs that it is drawn from.
FIGURES: dict[int, tuple[Case, ...]] = {
    2: tuple(Case("E5", stop) for stop in STOPS),
    3: (Case("E5"),),
    4: (Case("E5"),),
    5: tuple(Case(table) for table in TABLES),
    6: (Case("E5"),),
    7: tuple(Case(table, stop) for table in TABLES for stop in STOPS),
}


def needed(figures: Sequence[int]) -> list[Case]:
    """The runs that figures of the paper are drawn from, those trained to the end first."""
    return sorted({case for n in figures for case in FIGURES[n]}, key=lambda case: (case.stop or 0, case.table))
