"""How long a training step takes, and that of the common network in PyTorch."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

from lattice_flows.config import ConfigError, RunConfig
from lattice_flows.pipeline import build_model
from lattice_flows.seeds import sub_seed
from lattice_flows.training.devices import choose_strategy
from lattice_flows.training.step import TrainingStep

__all__ = ["StepTimes", "compiled_step", "step_times"]

_FIRST_STEPS = 5
_PROGRAM = Path(__file__).with_name("torch_step.py")


class StepTimes(NamedTuple):
    """Milliseconds a step of ours and of PyTorch's (medians over the turns), and the median ratio of successive turns."""

    extent: int
    ours_ms: float
    torch_ms: float
    ratio: float

    def __str__(self) -> str:
        return f"L = {self.extent}: {self.ours_ms:.1f} ms a step, PyTorch {self.torch_ms:.1f} ms, ratio {self.ratio:.2f}"


def step_times(config: RunConfig, python: str, rounds: int, steps: int) -> StepTimes:
    """Times training steps of a configuration and of the common network in PyTorch, in turn.

    Args:
      config: of the run, a scalar phi^4 theory; its lattice, coupling and batch are PyTorch's too.
      python: an interpreter that has PyTorch.
      rounds: number of turns of each.
      steps: in a turn.

    Raises:
      ConfigError: another action, or PyTorch cannot be run.
    """
    if config.action.name != "scalar_phi4":
        raise ConfigError(f"{_PROGRAM.name} knows the action scalar_phi4 alone, not {config.action.name}")
    extent, couplings = max(config.lattice.shape), config.action.parameters
    arguments = (extent, couplings["m2"], couplings["lam"], config.training.batch_size)
    step = compiled_step(config)
    with subprocess.Popen(
        [python, str(_PROGRAM), *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as torch:

        def turn(n: int) -> float:
            try:
                torch.stdin.write(f"{n}\n".encode())
                return float(torch.stdout.readline())
            except (OSError, ValueError):
                raise ConfigError(f"PyTorch's step cannot be run with {python}: is torch installed there?") from None

        turn(_FIRST_STEPS)
        pairs = [(step(steps), turn(steps)) for _ in range(rounds)]
        torch.stdin.close()
    return StepTimes(
        extent=extent,
        ours_ms=1e3 * median(ours for ours, _ in pairs) / steps,
        torch_ms=1e3 * median(theirs for _, theirs in pairs) / steps,
        ratio=median(ours / theirs for ours, theirs in pairs),
    )


def compiled_step(config: RunConfig) -> Callable[[int], float]:
    """A function that makes that many training steps of a configuration and returns their seconds, without compilation."""
    strategy = choose_strategy("cpu")
    flow, action = build_model(config, strategy)
    step = TrainingStep(flow, action, config.training, strategy)

    def timed(steps: int) -> float:
        start = time.perf_counter()
        for index in range(steps):
            step(sub_seed(0, "benchmark", index))
        return time.perf_counter() - start

    timed(_FIRST_STEPS)
    return timed
