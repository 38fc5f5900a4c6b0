"""Beginning a training with the weights of an earlier one, such as a stage on a smaller lattice."""

from pathlib import Path

from lattice_flows.config import CONFIGS, ConfigError, load, trained_weights
from lattice_flows.errors import closest, nearest
from lattice_flows.flows import Flow, transfer_weights
from lattice_flows.io.arrays import CheckpointError
from lattice_flows.io.histories import WEIGHTS
from lattice_flows.reading import file_or_in_folder
from lattice_flows.training.state import recorded_summary

__all__ = ["begin_with", "find_weights", "pretrained_weights", "weights_file"]


def weights_file(path: str | Path) -> Path:
    """The weights file that a path names: itself, or `weights.npz` in a run folder. Raises `CheckpointError` if there is none."""
    file = file_or_in_folder(path, WEIGHTS, error=CheckpointError)
    if not file.exists():
        raise CheckpointError(f"there are no weights {file}: give a weights file, or the folder of a run whose training has ended")
    return file


def begin_with(flow: Flow, path: str | Path) -> float:
    """Gives a flow the weights of an earlier training, in place; the lattice there may have other extents.

    The integration steps that the earlier training accepted come with them, unless the flow has more.

    Args:
      flow: of the same kind as the earlier one.
      path: a run folder, a weights file, or, where there is neither, the name of weights that come with the package, such as
        "continuous/L64".

    Returns:
      the total training time of these weights, in seconds.

    Raises:
      CheckpointError: the file is missing or damaged, or its weights do not fit.
    """
    file = find_weights(path)
    own = flow.integration_steps
    diagnostics = transfer_weights(file, flow)
    flow.set_integration_steps({name: max(own[name], steps) for name, steps in flow.integration_steps.items()})
    summary = recorded_summary(file, diagnostics) if "summary" in diagnostics else None
    return summary.seconds + summary.earlier_seconds if summary else 0.0


def find_weights(path: str | Path) -> Path:
    """The weights file that a path names, see `weights_file`, or that of this name which comes with the package.

    Raises:
      CheckpointError: there is neither.
    """
    if Path(path).exists():
        return weights_file(path)
    name, shipped = str(path), trained_weights()
    try:
        return shipped.get(name) or weights_file(name)
    except CheckpointError as error:
        close = next((known for known in shipped if known.endswith(f"/{name}")), None) or closest(name, shipped)
        hint = f"; or did you mean {close!r}, which comes with the package?" if close else ""
        raise CheckpointError(f"{error}{hint}") from None


def pretrained_weights(name: str, flow: str | None = None) -> Path:
    """The weights of an ensemble that come with the package.

    Args:
      name: of the ensemble, such as "E1".
      flow: which of its flows; None for that of the ensemble's configuration.

    Raises:
      ConfigError: there are none.
    """
    usual = CONFIGS / f"{name}.yaml"
    if flow is None:
        flow = load(usual).flow.name if usual.is_file() else "affine"
    known, wanted = trained_weights(), f"{flow}/{name}"
    if wanted not in known:
        raise ConfigError(f"no run folder or weights file {name!r}, and no pretrained weights {wanted!r}: {nearest(wanted, known)}")
    return known[wanted]
