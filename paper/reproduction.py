"""All that a call of `scripts/reproduce.py` makes: ensembles, figures, and the report."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from lattice_flows.paper import figures, report, table1
from lattice_flows.paper.references import baselines

from lattice_flows import plots
from lattice_flows.config import ConfigError, RunConfig
from lattice_flows.io.files import atomic_write
from lattice_flows.production import BASELINES
from lattice_flows.progress import Progress

__all__ = ["FIXED_ACCEPTANCE", "reproduce"]

FIXED_ACCEPTANCE = Path(__file__).with_name("fixed_acceptance.yaml")


def reproduce(
    tables: Sequence[str],
    numbers: Sequence[int],
    configure: Callable[..., RunConfig],
    flow_name: str,
    out: Path,
    strategy: tf.distribute.Strategy,
    progress: Progress,
    *,
    resume: bool = False,
    pretrained: bool = False,
    with_report: bool = False,
) -> bool:
    """Regenerates ensembles and figures, and everything that they need.

    The run of an ensemble is left in `out/<ensemble>`, with a training that was stopped at an acceptance of 50 % in
    `out/at_50/<ensemble>`, figures and their captions in `out/figures`, the report in `out/report.html`.

    Args:
      tables: ensembles.
      numbers: figures of the paper.
      configure: the configuration of an ensemble with further entries (mappings or files) in it.
      flow_name: for results, and the folder of `paper/trained` to look in.
      out: output folder.
      strategy: the devices.
      progress: where progress is shown.
      resume: go on with what `out` holds.
      pretrained: take the weights in `paper/trained` instead of training.
      with_report: write the report.

    Returns:
      whether every observable agrees with its reference.

    Raises:
      ConfigError: a figure needs baselines that `paper/references.yaml` does not hold.
      RunError, and what `training.trainer.train` raises.
    """
    wanted = list(dict.fromkeys([*((table, None) for table in tables), *figures.needed(numbers)]))
    known = baselines(table for table, _ in wanted)
    for table in dict.fromkeys(table for n in numbers for table in figures.FIGURES[n].ensembles):
        for sampler in BASELINES:
            if (table, sampler) not in known:
                raise ConfigError(f"figures need {sampler} on {table}: scripts/baseline.py --references paper/references.yaml")
    flows: dict[tuple[str, float | None], dict[str, Any]] = {}
    for table, stop in wanted:
        extra = () if stop is None else (FIXED_ACCEPTANCE, {"training": {"target_acceptance": stop}})
        stored = f"{flow_name}{'' if stop is None else f'_{100 * stop:.0f}'}"
        how = {"resume": resume, "weights": table1.TRAINED / stored / f"{table}.npz" if pretrained else None}
        folder = figures.run_folder(out, table, stop)
        flows[table, stop] = table1.reproduce(table, configure(table, *extra), flow_name, folder, strategy, progress, **how)
    parts = figures.Ingredients(flows, known)
    drawn = {}
    for n in numbers:
        drawn[n] = figures.FIGURES[n].draw(parts)
        plots.save(drawn[n].figure, out / "figures", f"figure_{n}")
    if drawn:
        captions = "\n".join(f"**Figure {n}.** {one.caption}\n" for n, one in drawn.items())
        atomic_write(out / "figures" / "captions.md", lambda file: file.write(captions.encode()))
        progress.info(f"figures in {out / 'figures'}")
    if 7 in drawn:
        progress.info(figures.exponents_table(parts))
    ends = [result for (_, stop), result in flows.items() if stop is None]
    if ends:
        progress.info(table1.summary(ends))
        progress.info(table1.agreement_table(ends, parts.baselines))
    if with_report:
        report.write(out / "report.html", out, parts, drawn)
        progress.info(f"report in {out / 'report.html'}")
    return all(result["passed"] for result in flows.values())
