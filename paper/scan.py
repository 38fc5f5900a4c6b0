"""Through the transition with one flow for a range of couplings on each lattice: beyond arXiv:1904.12072."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from lattice_flows import plots
from lattice_flows.actions import Action
from lattice_flows.config import CONFIGS, ConfigError, RunConfig, load
from lattice_flows.flows import Flow, load_weights
from lattice_flows.io.files import write_json, write_text
from lattice_flows.measurement.curves import Point, curve
from lattice_flows.paper.cases import RESULTS, TRAINED
from lattice_flows.paper.scan_curves import ScanCurves, baselines_on
from lattice_flows.pipeline import build_model, recorded_config, train_run
from lattice_flows.progress import Progress
from lattice_flows.reading import read_json, reading
from lattice_flows.training.records import OpensBoard

__all__ = ["SCANS", "Scan", "reproduce", "stored"]

_SAMPLES = 2**14
# Later lattices begin with the weights of the one before.
_GROWN = {"training": {"steps": 300, "evaluate_every": 150}}
_QUICK = {"training": {"steps": 100, "evaluate_every": 100}}
_QUICK_SAMPLES = 2**11
_QUICK_LATTICES = 2


class Scan(NamedTuple):
    """The curves in one number of dimensions.

    Attributes:
      config: the configuration of the smallest lattice.
      extents: L of all lattices.
      near: couplings around the transition, where crossings are looked for.
      beyond: further couplings.
    """

    config: str
    extents: tuple[int, ...]
    near: tuple[float, ...]
    beyond: tuple[float, ...]

    def configuration(self, extent: int, overrides: Sequence[Mapping[str, Any] | Path] = (), *, quick: bool = False) -> RunConfig:
        """The configuration of one lattice."""
        path = CONFIGS / f"{self.config}.yaml"
        changes = [{"lattice": {"shape": [extent] * len(load(path).lattice.shape)}}]
        changes += [_GROWN] * (extent > self.extents[0]) + [_QUICK] * quick
        return load(path, *changes, *overrides)

    def couplings(self, flow: Flow, action: Action) -> list[float]:
        """All couplings of one lattice: those of the curves, and those at which HMC was run on it."""
        low, high = flow.knots[[0, -1]]
        wanted = {*self.near, *self.beyond, *baselines_on(action.lattice.shape, action.parameters["m2"])}
        return sorted(float(coupling) for coupling in wanted if low <= coupling <= high)


SCANS = {
    "2d": Scan("scan_2d", (6, 8, 10, 12, 14), tuple(np.linspace(4.0, 4.6, 13).round(3)), (4.8, 5.0, 5.4, 5.8, 6.4, 7.0)),
    "3d": Scan("scan_3d", (4, 6, 8), tuple(np.linspace(6.8, 8.6, 13).round(3)), (9.0, 9.4, 9.9, 10.4)),
}


def reproduce(
    overrides: Sequence[Mapping[str, Any] | Path] = (),
    out: str | Path = "runs",
    strategy: tf.distribute.Strategy | None = None,
    progress: Progress | None = None,
    *,
    scans: Sequence[str] = tuple(SCANS),
    quick: bool = False,
    resume: bool = False,
    pretrained: bool = False,
    from_stored: bool = False,
    board: OpensBoard | None = None,
) -> bool:
    """Trains one flow on each lattice, samples it at all couplings, and draws the curves.

    The runs are written to `out/scan/<scan>_L<L>`, the curves to `out/scan/<scan>.json`, figures to `out/figures`.

    Args:
      overrides: changes to the configurations: presets (files) and mappings.
      out: output folder.
      strategy: the devices; None for TensorFlow's default.
      progress: where progress is shown; None for silence.
      scans: names, of `SCANS`.
      quick: the two smallest lattices of each, short trainings and few samples.
      resume: continue the runs in `out`.
      pretrained: take the weights in `paper/trained/scan` instead of training.
      from_stored: draw the curves in `paper/results/scan` instead of making any.
      board: opens what shows every training elsewhere, see `pipeline.train_run`.

    Returns:
      whether nothing disagrees: neither `<phi^4>` with the derivative of the free energy, nor an observable with HMC.

    Raises:
      ConfigError: there are no such weights.
      RunError, CheckpointError, TrainingDiverged: see `pipeline.train_run`.
    """
    out, progress, agree = Path(out), progress or Progress(quiet=True), True
    for name in scans:
        if from_stored:
            found = stored(name)
        else:
            found = _made(name, overrides, out, strategy, progress, board, quick=quick, resume=resume, pretrained=pretrained)
        agree &= _show(name, found, out / "figures", progress)
    return agree


def stored(name: str) -> ScanCurves:
    """The curves of a scan that come with the package, in `paper/results/scan`."""
    path = RESULTS / "scan" / f"{name}.json"
    with reading(path):
        return ScanCurves.from_json(read_json(path))


def _made(
    name: str,
    overrides: Sequence[Mapping[str, Any] | Path],
    out: Path,
    strategy: tf.distribute.Strategy | None,
    progress: Progress,
    board: OpensBoard | None,
    *,
    quick: bool,
    resume: bool,
    pretrained: bool,
) -> ScanCurves:
    """The curves of all lattices of a scan; for arguments see `reproduce`."""
    scan, curves, before = SCANS[name], {}, None
    for extent in scan.extents[: _QUICK_LATTICES if quick else None]:
        label = f"{name}_L{extent}"
        config = scan.configuration(extent, [*overrides, {"training": {"init_from": before}}], quick=quick)
        if pretrained:
            flow, action = _pretrained(TRAINED / "scan" / f"{label}.npz", strategy)
        else:
            before = str(out / "scan" / label)
            with (trained := train_run(config, before, strategy, progress, resume=resume, board=board)).run:
                flow, action = trained.flow, trained.action
        curves[extent] = _curve(scan, flow, action, _QUICK_SAMPLES if quick else _SAMPLES, label, config.seed, progress)
        found = ScanCurves(action.lattice.d, action.parameters["m2"], (scan.near[0], scan.near[-1]), curves)
        write_json(out / "scan" / f"{name}.json", found.to_json())
    return found


def _pretrained(path: Path, strategy: tf.distribute.Strategy | None) -> tuple[Flow, Action]:
    if not path.exists():
        raise ConfigError(f"there are no weights {path}: train without --pretrained")
    flow, action = build_model(recorded_config(path), strategy)
    load_weights(path, flow)
    return flow, action


def _curve(scan: Scan, flow: Flow, action: Action, samples: int, label: str, seed: int, progress: Progress) -> list[Point]:
    couplings = scan.couplings(flow, action)
    with progress.bar(label, len(couplings)) as bar:
        return curve(
            flow,
            action,
            couplings,
            samples=samples,
            seed=seed,
            done=lambda point: bar.advance(status=f"ESS {point.ess:.3f}"),
        )


def _show(name: str, found: ScanCurves, folder: Path, progress: Progress) -> bool:
    drawn, (text, agree) = found.draw(), found.findings()
    plots.save(drawn.figure, folder, f"scan_{name}")
    write_text(folder / f"scan_{name}.md", f"{drawn.caption}\n\n{text}\n")
    progress.info(f"{text}\nfigure in {folder}")
    return agree
