"""Measures how fast the package is, on this machine.

python scripts/benchmark.py --step_time E1,E3,E5       # the common network's training step, in units of PyTorch's
python scripts/benchmark.py --trials E2,E5             # what each part of the default flow is worth, at equal training time
python scripts/benchmark.py --cost E1,E3,E5            # what an independent configuration costs with every sampler
python scripts/benchmark.py --record runs/E1,runs/E2   # adds finished runs to the tables of all flows, and prints these
"""

import sys
import tempfile
from pathlib import Path

import yaml
from absl import flags
from lattice_flows.paper import benchmark, cost

from lattice_flows import command_line
from lattice_flows.command_line import CONFIGS
from lattice_flows.config import load
from lattice_flows.progress import Progress

FLAGS = flags.FLAGS
flags.DEFINE_list("step_time", [], "ensembles to time the training step of affine_conv on")
flags.DEFINE_string("torch_python", sys.executable, "an interpreter that has PyTorch")
flags.DEFINE_integer("rounds", 9, "turns of each of two things that are compared")
flags.DEFINE_integer("steps", 10, "steps in a turn")
flags.DEFINE_list("trials", [], "ensembles to run the trials of paper/trials.yaml on")
flags.DEFINE_float("seconds", 20.0, "training time of a trial")
flags.DEFINE_list("cost", [], "ensembles to time updates of all samplers on, for paper/cost.yaml")
flags.DEFINE_list("record", [], "folders of finished runs of reproduce.py")


def main() -> int:
    progress = Progress()
    for table in FLAGS.step_time:
        config = load(CONFIGS / f"{table}.yaml", CONFIGS / "flows" / "affine_conv.yaml")
        found = benchmark.step_times(config, FLAGS.torch_python, FLAGS.rounds, FLAGS.steps)
        progress.info("L = {L}: {ours_ms:.1f} ms a step, PyTorch {torch_ms:.1f} ms, ratio {ratio:.2f}".format(**found))
    if FLAGS.trials:
        results: dict = {}
        for name, override in yaml.safe_load(benchmark.TRIALS.read_text()).items():
            for table in FLAGS.trials:
                config = load(CONFIGS / f"{table}.yaml", override or {})
                with tempfile.TemporaryDirectory() as folder:
                    found = benchmark.trial(config, FLAGS.seconds, Path(folder) / "run", progress)
                results.setdefault(name, {})[table] = found
                progress.info(f"{name}, {table}: {found}")
        progress.info(benchmark.trials_table(results))
    if FLAGS.cost:
        with tempfile.TemporaryDirectory() as folder:
            cost.write({table: cost.measure(table, Path(folder), FLAGS.rounds, progress) for table in FLAGS.cost})
        progress.info(cost.cost_table())
    for folder in FLAGS.record:
        benchmark.record(Path(folder))
    if FLAGS.record:
        progress.info(benchmark.variants_table())
        progress.info(benchmark.progress_table())
    return 0


if __name__ == "__main__":
    command_line.main(main)
