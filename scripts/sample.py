"""Draws a Markov chain with the exact distribution from a trained flow, and prints the observables.

python scripts/sample.py --run runs/my_E1 --chain_length 1000000 --out runs/my_E1_ensemble
python scripts/sample.py --run runs/my_E1 --sampler annealed --chain_length 100000 --out runs/my_E1_annealed
python scripts/sample.py --run runs/my_L64 --sampler flow_hmc --set samplers.flow_hmc.panels=8 --out runs/my_L64_flow_hmc
"""

import dataclasses
import sys
from pathlib import Path

from lattice_flows import command_line
from lattice_flows.command_line import Flag, UsageError, exit_codes, shared
from lattice_flows.config.keys import one_of_each
from lattice_flows.progress import Progress

WEIGHTED = (None, "independence", "annealed")
OF_CHAINS = ("chains", "updates", "thinning")
FLAGS = (
    Flag("run", "what to run", "folder of a finished training", required=True),
    Flag(
        "sampler",
        "what to run",
        "independence or annealed, or parallel chains of flow_hmc or pcn",
        shown_default="chain.sampler of the configuration",
    ),
    Flag("set", "sampling", "key of chain or samplers and its value, such as chain.batch_size=64", default=[], several=True),
    *shared("resume", "seed", "chain_length", "chains", "updates", "thinning", "out", "device"),
)


def main(flags) -> int:
    weighted = flags.sampler in WEIGHTED
    for flag in OF_CHAINS if weighted else ("chain_length",):
        if getattr(flags, flag) is not None:
            instead = "--chain_length" if weighted else ", ".join(f"--{each}" for each in OF_CHAINS)
            raise UsageError(f"--{flag} is not for --sampler {flags.sampler or WEIGHTED[1]}: use {instead}")
    from lattice_flows.io.runs import RunDirectory

    run, _ = RunDirectory.open(flags.run)
    chosen = [{"chain": {"sampler": {"name": flags.sampler}}}] if weighted and flags.sampler else []
    chosen += one_of_each(flags.set, "--set", ("chain", "samplers"))
    config = command_line.configuration(run.path / "config.yaml", flags).changed("--set", *chosen)

    progress = Progress()
    with progress.meanwhile("loading TensorFlow"):
        from lattice_flows import production
        from lattice_flows.pipeline import open_trained, start_run
        from lattice_flows.training.devices import choose_strategy

    strategy = choose_strategy(flags.device)
    _, flow, action, summary = open_trained(flags.run, strategy)
    name, settings = (config.chain.sampler.name, config.chain) if weighted else (flags.sampler, config.sampler(flags.sampler))
    if weighted:  # before anything is written
        production.check_proposes(flow, action, settings)
    else:
        production.check_moves(name, flow, action, settings)
    if flags.resume:
        production.check_continues(Path(flags.out) / production.ENSEMBLE, name, settings)
    with start_run(flags.out, config, strategy, resume=flags.resume) as out:
        how = {"seed": config.seed, "path": out.path / production.ENSEMBLE, "progress": progress}
        if weighted:
            ensemble = production.sample_run(flow, action, settings, training=summary._asdict(), **how)
        else:
            ensemble = production.latent_run(name, flow, action, settings, **how)
        with ensemble:
            result = dataclasses.replace(
                production.measure_run(ensemble, action, progress),
                command=command_line.command(),
                flow=config.flow.name,
                training=summary._asdict(),
            )
        out.write_json("result.json", result.to_json())
    progress.info(str(result))
    return exit_codes.of(result.passed)


if __name__ == "__main__":
    sys.exit(command_line.run(main, FLAGS, __doc__))
