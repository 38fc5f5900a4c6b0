"""Measures how fast the package is, on this machine.

python scripts/benchmark.py --step_time E1,E3,E5       # the common network's training step, in units of PyTorch's
python scripts/benchmark.py --ablations E2,E5          # what each part of the default flow is worth, at equal training time
python scripts/benchmark.py --cost E1,E3,E5            # what an independent configuration costs with every sampler
python scripts/benchmark.py --memory 1e5,1e6,1e7       # memory and disk that a chain of E1 takes, by its length
python scripts/benchmark.py --calibration 10           # how many of so many short chains of good flows are called bad
python scripts/benchmark.py --record runs/E1,runs/E2   # adds finished runs to the tables of all flows, and prints these
"""

import sys
from pathlib import Path

from lattice_flows import command_line
from lattice_flows.command_line import Flag, UsageError

FLAGS = (
    Flag("step_time", "what to run", "ensembles to time the training step of affine_conv on", list, []),
    Flag("ablations", "what to run", "ensembles to run the ablations of paper/ablations.yaml on", list, []),
    Flag("trials", "what to run", "earlier name of --ablations", list, []),
    Flag("cost", "what to run", "ensembles to time updates of all samplers on, for paper/cost.yaml", list, []),
    Flag("memory", "what to run", "lengths of chains of E1 to draw and measure, each in a process of its own", tuple, []),
    Flag("calibration", "what to run", "short chains of every flow in paper/trained whose checks are counted", int, positive=True),
    Flag("record", "what to run", "folders of finished runs of reproduce.py, for paper/runs.yaml", list, []),
    Flag("seconds", "training", "training time of an ablation", float, 20.0, positive=True),
    Flag("steps", "training", "training steps in a turn", int, 10, positive=True),
    Flag("rounds", "sampling", "turns of each of the things compared", int, 9, positive=True),
    Flag("record_to", "output", "file to record in, of --cost or --record", shown_default="the one in paper/ of the clone"),
    Flag("torch_python", "device", "an interpreter that has PyTorch", default=sys.executable, shown_default="this one"),
)


def main(flags) -> int:
    tables = flags.ablations + flags.trials
    if not (flags.step_time or tables or flags.cost or flags.memory or flags.calibration or flags.record):
        raise UsageError("nothing to do: give --step_time, --ablations, --cost, --memory, --calibration or --record")
    if flags.cost and flags.record:
        raise UsageError("--cost and --record write different files: give one of them at a time")
    if flags.record_to and not (flags.cost or flags.record):
        raise UsageError("--record_to is for --cost and --record: nothing else is recorded")

    from lattice_flows.config import CONFIGS, ChainConfig, checked_field, load

    for length in flags.memory:  # before the others take their minutes
        checked_field(ChainConfig, "length", length, "flag --memory")

    from lattice_flows.paper import ablations, calibration, cost, cost_record, memory, recorded_runs, records, step_times
    from lattice_flows.paper import tables as text
    from lattice_flows.progress import Progress

    progress = Progress()
    if flags.cost or flags.record:
        record_to = records.record_file(records.COST if flags.cost else records.RUNS, flags.record_to)
    for table in flags.step_time:
        config = load(CONFIGS / f"{table}.yaml", CONFIGS / "flows" / "affine_conv.yaml")
        progress.info(str(step_times.step_times(config, flags.torch_python, flags.rounds, flags.steps)))
    if tables:
        progress.info(text.ablations_table(ablations.run_all(tables, flags.seconds, progress)))
    if flags.cost:
        cost_record.record({table: cost.measure(table, flags.rounds, progress) for table in flags.cost}, record_to)
        progress.info(text.cost_table(record_to))
    if flags.memory:
        progress.info(memory.table(memory.measure("E1", flags.memory, progress)))
    if flags.calibration:
        progress.info(text.calibration_table(calibration.calibrate_all(flags.calibration, progress=progress)))
    for folder in flags.record:
        recorded_runs.record(Path(folder), record_to)
    if flags.record:
        progress.info(text.variants_table(record_to))
        progress.info(text.progress_table(record_to))
    return 0


if __name__ == "__main__":
    sys.exit(command_line.run(main, FLAGS, __doc__))
