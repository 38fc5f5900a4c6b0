"""What a report says about runs: those on one ensemble side by side, and each by itself."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lattice_flows import __version__
from lattice_flows.measurement.checks import BAD, GOOD, UNKNOWN, worst
from lattice_flows.measurement.errors import format_estimate
from lattice_flows.measurement.result import Result
from lattice_flows.report import figures, page, tables
from lattice_flows.report.page import Block, Section
from lattice_flows.report.runs import Run, read_runs

__all__ = ["opinion", "sections", "write"]


def write(path: str | Path, folders: Sequence[str | Path]) -> None:
    """Writes the report on some runs: one HTML page that needs no other file.

    ```python
    from lattice_flows.errors import UserError
    from lattice_flows.report import write

    try:
        write("report.html", ["runs/E1", "runs/hmc/E1"])
    except UserError as error:
        print(error)                     # there is no run folder ...
    ```

    Args:
      path: of the page.
      folders: of the runs.

    Raises:
      RunError: a folder holds no run, or the page cannot be written.
    """
    runs = read_runs(folders)
    names = ", ".join(run.name for run in runs)
    title = f"Run {names}" if len(runs) == 1 else f"Runs {names}"
    page.write(Path(path), title, f"Made by lattice-flows {__version__} from what the runs have left on disk.", sections(runs))


def sections(runs: Sequence[Run]) -> list[Section]:
    """The sections of a report: a summary of several runs, then the runs of one ensemble after the other."""
    groups: dict[Any, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.ensemble, []).append(run)
    found = [Section("Summary", [page.table(tables.summary(runs))], "summary")] if len(runs) > 1 else []
    for index, (ensemble, group) in enumerate(groups.items()):
        title = "Unknown ensemble"
        if ensemble is not None:
            shape, action = ensemble
            title = f"{tables.extents(shape)}, {tables.described(action)}"
        found.append(_of_an_ensemble(title, f"ensemble-{index}", group))
    return found


def _of_an_ensemble(title: str, anchor: str, runs: Sequence[Run]) -> Section:
    """The runs on one ensemble: side by side, and then each by itself; a single one has no section of its own."""
    drawn = figures.of_an_ensemble(runs)
    shown = page.columns(page.figure(one.figure, f"{anchor}-{name}", one.caption) for name, one in drawn.items())
    facts = page.table(tables.overview(runs))
    if len(runs) == 1:
        parts, place = _parts(runs[0]), 0 if runs[0].result is None else 1  # behind the observables
        parts[place:place] = [Section("Curves", [shown])] if drawn else []
        return Section(title, [*_judged(runs[0]), facts], tables.anchor(runs[0]), parts)
    side_by_side = [facts]
    if sum(run.result is not None for run in runs) > 1:
        first = next(run.name for run in runs if run.result)
        compared = tables.compared(runs)
        caption = f"Pulls are distances from {first} in standard deviations of the difference." if "pull" in compared.header else ""
        side_by_side += [page.table(compared, caption), page.paragraph(tables.agreement(runs))]
    if differing := page.table(tables.different_settings(runs)):
        side_by_side.append(page.folded("Settings that differ", differing))
    own = [Section(run.name, _judged(run), tables.anchor(run), _parts(run)) for run in runs if run.path]
    return Section(title, [*side_by_side, shown], anchor, own)


def _judged(run: Run) -> list[Block]:
    """What to think of a run, and what it lacks."""
    missing = [page.verdict(UNKNOWN, sentence) for sentence in run.missing]
    return [page.verdict(*opinion(run.result)), *missing] if run.result else missing


def _parts(run: Run) -> list[Section]:
    """What is shown of one run by itself."""
    parts: list[Section] = []
    if (result := run.result) is not None:
        parts.append(Section("Observables", [page.table(tables.observables(result))]))
        listed = page.table(tables.checks(result.checks))
        good = all(check.verdict == GOOD for check in result.checks)
        parts.append(Section("Can the errors be trusted?", [page.folded("All checks", listed) if good else listed]))
    drawn = {name: page.figure(one.figure, f"{run.name}-{name}", one.caption) for name, one in figures.of_a_run(run).items()}
    density = [drawn.pop("action_against_log_q")] if "action_against_log_q" in drawn else []
    if result is not None and (found := result.weight_variance):
        variance = f"The variance of the log weights is {format_estimate(found.variance)}, from {found.proposals} proposals"
        caption = "Shares of the variance that functions of the field explain:"
        density.append(
            page.together(page.paragraph(f"{variance}; {found.in_the_tails}."), page.table(tables.variance(found), caption))
        )
    if density:
        parts.append(Section("Density of the flow", [page.columns(density)]))
    if drawn:
        parts.append(Section("Configurations", list(drawn.values())))
    if made := _how_it_was_made(run):
        parts.append(Section("How it was made", made))
    return parts


def opinion(result: Result) -> tuple[str, str, str]:
    """What to think of a result: the kind of a verdict, whether its errors can be trusted, and whether it agrees."""
    kind = BAD if result.passed is False else worst(result.checks) or UNKNOWN
    lines = result.conclusion.splitlines()
    return kind, lines[0], lines[-1]


def _how_it_was_made(run: Run) -> list[Block]:
    environment = dict(run.environment or {})
    listed = environment.pop("command", None)
    for of_earlier_parts in ("earlier", "changed"):  # of a run that was resumed; the file has them
        environment.pop(of_earlier_parts, None)
    command = run.result.command if run.result else None
    if listed and isinstance(listed, list):
        program, *arguments = map(str, listed)
        is_script, is_ours = Path(program).parent.name == "scripts", Path(program).stem == "lattice-flows"
        start = ["python", program] if is_script else ["lattice-flows"]
        command = shlex.join([*start, *arguments]) if is_script or is_ours else command  # a notebook has no command
    blocks = [page.code(command)] if command else []
    rows = [[name.replace("_", " "), _listed(value)] for name, value in environment.items()]
    if rows:
        blocks.append(page.folded("Environment", page.table(tables.Table(["", ""], rows, text=(1,)))))
    if run.config is not None:
        blocks.append(page.folded("Settings", page.code(run.config.dump())))
    return blocks


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
