"""What one call of `scripts/reproduce.py` makes: results on ensembles, figures, and the report."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from lattice_flows import plots
from lattice_flows.config import ConfigError, RunConfig
from lattice_flows.io.files import write_text
from lattice_flows.measurement.result import Result
from lattice_flows.paper import report, run_figures
from lattice_flows.paper.cases import DIMENSIONS, Case, needed
from lattice_flows.paper.comparison import compared
from lattice_flows.paper.figures import draw
from lattice_flows.paper.ingredients import Ingredients, stored_flows
from lattice_flows.paper.references import baselines, samplers
from lattice_flows.paper.tables import agreement_table, case_table, dimensions_table, exponents_table, summary
from lattice_flows.pipeline import Trained, as_pretrained, completed, start_from_pretrained, train_run
from lattice_flows.production import ENSEMBLE, check_continues, measure_run, sample_run
from lattice_flows.progress import Part, Progress
from lattice_flows.report.figures import Captioned
from lattice_flows.resources import chain_work
from lattice_flows.training.parts import training_parts
from lattice_flows.training.records import OpensBoard

__all__ = ["reproduce", "reproduce_case", "show_stored"]

_BASELINES = ("hmc", "metropolis")
# Parts of what is done, beside those of trainings.
_SAMPLING, _MEASURING, _DRAWING = "sampling", "measuring", "drawing"


def reproduce(
    tables: Sequence[str],
    figures: Sequence[int],
    overrides: Sequence[Mapping[str, Any] | Path] = (),
    flow_name: str | None = None,
    out: str | Path = "runs",
    strategy: tf.distribute.Strategy | None = None,
    progress: Progress | None = None,
    *,
    quick: bool = False,
    resume: bool = False,
    pretrained: bool = False,
    with_report: bool = False,
    board: OpensBoard | None = None,
) -> bool:
    """Regenerates results on ensembles, figures, and everything that they need.

    The run of an ensemble is written to `out/<ensemble>`; with a training that was stopped at an acceptance of 50 % in
    `out/at_50/<ensemble>`, figures and their captions in `out/figures`, the report in `out/report.html`.

    Args:
      tables: ensembles, of `cases.TABLES`, `cases.LARGER` or `cases.DIMENSIONS`.
      figures: numbers of figures of the paper.
      overrides: changes to the ensembles' configurations: presets (files) and mappings, see `Case.configuration`.
      flow_name: for results, and the folder of `paper/trained` to look in; None for the name of each configuration's flow.
      out: output folder.
      strategy: the devices; None for TensorFlow's default.
      progress: where progress is shown; None for silence.
      quick: small runs.
      resume: continue the runs in `out`.
      pretrained: start from the weights in `paper/trained` instead of training.
      with_report: write the report.
      board: opens what shows every training elsewhere, see `pipeline.train_run`.

    Returns:
      whether every result can be trusted, and none disagrees with its reference, where there is one.

    Raises:
      ConfigError: a configuration that cannot be used, missing baselines or weights; nothing is done then.
      RunError, CheckpointError, TrainingDiverged: see `pipeline.train_run`.
    """
    out, progress = Path(out), progress or Progress(quiet=True)
    cases = list(dict.fromkeys([*map(Case, tables), *needed(figures)]))
    plans = []
    for case in cases:
        config = completed(case.configuration(overrides, quick=quick))
        name = flow_name or config.flow.name
        weights = case.weights(name) if pretrained else None
        plans.append((case, config if weights is None else as_pretrained(config, weights), name, weights))
    known = {
        (case.table, sampler): result
        for case, config, *_ in plans
        for sampler, result in samplers(config.lattice.shape, config.action.model_dump()).items()
    }
    _check_baselines(figures, known)
    steps = [part for case, config, _, weights in plans for part in _parts(case, config, is_trained=weights is not None)]
    with progress.whole([*steps, Part(_DRAWING, 0.0)] if figures or with_report else steps):
        flows = {
            case: reproduce_case(case, config, name, out, strategy, progress, weights=weights, resume=resume, board=board)
            for case, config, name, weights in plans
        }
        parts = Ingredients(flows, known)
        with progress.part(_DRAWING):
            drawn = _draw(figures, parts, out / "figures", progress)
            if with_report:
                with progress.working("writing the report"):
                    report.write(out / "report.html", out, parts, drawn)
    ends = parts.fully_trained()
    if ends:
        progress.info(summary(ends))
    if any(result.table in {table for table, _ in known} for result in ends):
        progress.info(agreement_table(ends, known))
    if with_report:
        progress.info(f"report in {out / 'report.html'}")
    return all(result.passed is not False for result in flows.values())


def reproduce_case(
    case: Case,
    config: RunConfig,
    flow_name: str,
    out: Path,
    strategy: tf.distribute.Strategy | None,
    progress: Progress,
    *,
    weights: Path | None = None,
    resume: bool = False,
    board: OpensBoard | None = None,
) -> Result:
    """Makes one run, from scratch, from an earlier run or from pretrained weights, and compares its result with references.

    Writes to the run folder, beside the files of the training: `ensemble.h5`, `result.json`, `table.md` and `figures/`.

    Args:
      case: the run.
      config: its configuration.
      flow_name: for the result.
      out: output folder, in which the run has its own.
      strategy: the devices; None for TensorFlow's default.
      progress: where progress is shown.
      weights: pretrained weights to start from instead of training.
      resume: continue the run in the run folder.
      board: opens what shows the training elsewhere, see `pipeline.train_run`.
    """
    progress.info(f"{case.table}: lattice {config.lattice.shape}, {config.action.parameters}, seed {config.seed}")
    folder = case.folder(out)
    if resume:
        check_continues(folder / ENSEMBLE, config.chain.sampler.name, config.chain)
    if weights is not None:
        trained = start_from_pretrained(config, folder, weights, strategy, resume=resume)
    else:
        trained = train_run(config, folder, strategy, progress, resume=resume, board=board)
    with trained.run:
        return _sampled(case, config, flow_name, trained, progress)


def _parts(case: Case, config: RunConfig, *, is_trained: bool) -> list[Part]:
    """What is done for one run."""
    of = case.table if case.stop is None else f"{case.table} at {100 * case.stop:.0f} %"
    sampling = Part(_SAMPLING, chain_work(config.lattice.shape, config.chain.length), of)
    return [*([] if is_trained else training_parts(config, of)), sampling, Part(_MEASURING, 0.0, of)]


def _sampled(case: Case, config: RunConfig, flow_name: str, trained: Trained, progress: Progress) -> Result:
    """Samples with a trained flow, measures, and writes everything into its run folder."""
    run, action, training = trained.run, trained.action, trained.summary._asdict()
    how = {"seed": config.seed, "path": run.path / ENSEMBLE, "training": training, "progress": progress}
    with progress.part(_SAMPLING):
        ensemble = sample_run(trained.flow, action, config.chain, **how)
    with progress.part(_MEASURING):
        with ensemble:
            measured = measure_run(ensemble, action, progress)
        result = dataclasses.replace(
            compared(measured),
            table=case.table,
            flow=flow_name,
            target_acceptance=config.training.target_acceptance,
            training=training,
        )
        run.write_json("result.json", result.to_json())
        text = case_table(result) + ("" if result.compared_with else f"\n\n{_without_reference(case, config)}")
        run.write_text("table.md", text + "\n")
        with progress.working("drawing figures"):
            run_figures.save(run.path, result)
    progress.info(text)
    progress.info(f"results in {run.path}")
    return result


def show_stored(tables: Sequence[str], flow_name: str | None, progress: Progress) -> bool:
    """Shows the tables of the results in `paper/results`, beside the references of today.

    Args:
      tables: ensembles.
      flow_name: of the results; None for those of all flows.
      progress: where they are shown.

    Returns:
      whether every result can be trusted, and none disagrees with its reference, where there is one.

    Raises:
      ConfigError: there is no result.
    """
    found = {table: [compared(result) for result in stored_flows(table) if flow_name in (None, result.flow)] for table in tables}
    missing = [table for table, results in found.items() if not results]
    if missing == list(tables):
        of_flow = f" of the flow {flow_name!r}" if flow_name else ""
        raise ConfigError(f"paper/results holds no result{of_flow} on {', '.join(missing)}: run without --stored to make one")
    results = [result for of_table in found.values() for result in of_table]
    others = [result for result in results if result.table not in DIMENSIONS]
    for flow in dict.fromkeys(result.flow for result in others):
        of_flow = [result for result in others if result.flow == flow]
        progress.info(f"{flow}:\n\n{summary(of_flow)}\n\n{agreement_table(of_flow, baselines(tables))}\n")
    if len(others) < len(results):
        progress.info(dimensions_table([result for result in results if result.table in DIMENSIONS]))
    if missing:
        progress.info(f"no result on {', '.join(missing)}")
    return all(result.passed is not False for result in results)


def _without_reference(case: Case, config: RunConfig) -> str:
    """What to say of a result that there is nothing to compare with."""
    usual, shape = completed(case.configuration()), config.lattice.shape
    flags, name = [], [case.table]
    if config.lattice != usual.lattice:
        cubic = set(shape) == {shape[0]} and len(shape) == len(usual.lattice.shape)
        flags.append(f"--lattice_size {shape[0]}" if cubic else f"--shape {','.join(map(str, shape))}")
        name.append(str(shape[0]) if cubic else "x".join(map(str, shape)))
    for key, (value, _) in config.differences(usual).items():
        if key.startswith("action."):
            parameter = key.removeprefix("action.")
            flags.append(f"--{parameter} {value}")
            name.append(f"{parameter}_{value}")
    flags += [f"--name {'_'.join(name)}"] if flags else []
    sampler = "cluster" if "cluster" in config.samplers and config.action.name == usual.action.name else "hmc"
    out = f"--out runs/{sampler}/{'_'.join(name)} --references paper/references.yaml"
    command = " ".join([f"python scripts/baseline.py --sampler {sampler} --config", case.table, *flags, out])
    return (
        "No reference for this lattice and action: nothing was compared. In a clone of the repository, this makes one:\n\n"
        f"    {command}"
    )


def _check_baselines(numbers: Iterable[int], known: Mapping[tuple[str, str], Result]) -> None:
    wanted = [(case.table, sampler) for case in needed(list(numbers)) for sampler in _BASELINES]
    missing = [pair for pair in wanted if pair not in known]
    if missing:
        table, sampler = missing[0]
        raise ConfigError(
            f"the figures need {sampler} on {table}, which paper/references.yaml does not hold for its lattice and action: run "
            f"scripts/baseline.py --sampler {sampler} --config configs/{table}.yaml --references paper/references.yaml"
        )


def _draw(numbers: Sequence[int], parts: Ingredients, folder: Path, progress: Progress) -> dict[int, Captioned]:
    """Draws and saves figures of the paper with their captions."""
    drawn = {}
    for n in numbers:
        with progress.working(f"drawing figure {n}"):
            drawn[n] = draw(n, parts)
            plots.save(drawn[n].figure, folder, f"figure_{n}")
    if drawn:
        captions = "\n".join(f"**Figure {n}.** {one.caption}\n" for n, one in drawn.items())
        write_text(folder / "captions.md", captions)
        progress.info(f"figures in {folder}")
    if 7 in drawn:
        progress.info(exponents_table(parts))
    return drawn
