"""How far flows reach on the paper's line of constant physics: effective sample size and cost against L, from stored numbers."""

from collections.abc import Sequence
from pathlib import Path

from lattice_flows import plots
from lattice_flows.io.files import write_text
from lattice_flows.measurement.result import Result
from lattice_flows.paper import cost_record
from lattice_flows.paper.cases import LARGER, TABLES
from lattice_flows.paper.comparison import compared
from lattice_flows.paper.ingredients import stored_flows
from lattice_flows.paper.references import published_ess
from lattice_flows.paper.tables import volume_table
from lattice_flows.progress import Progress
from lattice_flows.report.figures import Captioned
from lattice_flows.report.names import TEX

__all__ = ["draw", "reproduce", "stored_results"]

_NAME = "volume"


def reproduce(out: str | Path, progress: Progress) -> bool:
    """Draws the figure and writes its numbers, from `paper/results` and `paper/cost.yaml`, into `out/figures`.

    Returns:
      whether every result that it shows can be trusted, and none disagrees with its reference.

    Raises:
      RunError: a file cannot be written.
    """
    flows = stored_results()
    folder, drawn, text = Path(out) / "figures", draw(flows), volume_table(flows)
    plots.save(drawn.figure, folder, _NAME)
    write_text(folder / f"{_NAME}.md", f"{drawn.caption}\n\n{text}\n")
    progress.info(f"{text}\nfigure in {folder}")
    return all(result.passed is not False for result in flows)


def draw(flows: Sequence[Result]) -> Captioned:
    """The figure: ESS of flows beside published ones, and the stored cost of an independent chi_2."""
    ess: dict[str, dict[int, float]] = {}
    for result in flows:
        ess.setdefault(result.flow, {})[max(result.lattice_shape)] = result.chain["ess"]
    caption = (
        "Effective sample size per sample of our flows and of published ones (left), and the time that an independent value of the "
        "two-point susceptibility takes on two cores without training (right), on the line of constant physics, m_p L = 4."
    )
    title = r"$m_\mathrm{p} L \approx 4$"
    return Captioned(plots.reach(ess, published_ess(), cost_record.curves(), TEX[cost_record.OBSERVABLE], title), caption)


def stored_results() -> list[Result]:
    """The results in `paper/results` of all flows on the line of constant physics, beside the references of today."""
    return [compared(result) for table in (*TABLES, *LARGER) for result in stored_flows(table)]
