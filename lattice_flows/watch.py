"""Trainings as they go, on a terminal: curves that are drawn again whenever a run writes. No TensorFlow."""

import contextlib
import itertools
import math
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import plotext
from rich.console import Console
from rich.live import Live
from rich.text import Text

from lattice_flows.io.files import RunError
from lattice_flows.io.histories import CONFIG, METRICS, STEPS, WEIGHTS, Curve, check_run_folder, curves, stage_folders
from lattice_flows.io.locks import is_locked

__all__ = ["ITEMS", "chart", "watch"]

_PAUSE = 0.5  # seconds from one look at the files to the next, at least
_SHARE = 5  # of the time that a chart takes, where histories are long
_COLORS = ("blue", "orange", "green", "red", "magenta", "cyan")
_MARKERS = ("*", "x", "o", "+", "#", "~")  # where there are no colours
_SHORTEST = 8  # rows of a panel
_DISCARDED = 0.1  # share of a curve that may leave the picture where it falls steeply


class Item(NamedTuple):
    """What is drawn of a quantity.

    Attributes:
      title: of its panel.
      is_logarithmic: whether its axis is.
      falls: whether its first values are so large that they would hide all others.
    """

    title: str
    is_logarithmic: bool = False
    falls: bool = False


ITEMS = {
    "loss": Item("loss", falls=True),
    "acceptance": Item("acceptance"),
    "ess": Item("effective sample size"),
    "kl": Item("Kullback-Leibler divergence", is_logarithmic=True),
    "kl_error": Item("error of the divergence", is_logarithmic=True),
    "log_z": Item("log Z", falls=True),
    "k_hat": Item("tail index k-hat"),
    "k_hat_error": Item("error of k-hat"),
    "log_weight_low": Item("log weights: 1 % quantile", falls=True),
    "log_weight_high": Item("log weights: 99 % quantile", falls=True),
    "forward_ess": Item("forward ESS"),
    "integration_error": Item("integration error of log weights", is_logarithmic=True),
    "learning_rate": Item("learning rate"),
    "condition": Item("worst coupling"),
    "seconds": Item("training time [s]"),
}


def watch(runs: Sequence[Path], items: Sequence[str], *, once: bool = False, stay: bool = False) -> None:
    """Draws curves of trainings until all of them have ended, or Ctrl-C.

    Args:
      runs: their folders; on a terminal they need not exist yet.
      items: what to draw, of `ITEMS`.
      once: print one chart and return, as always where the output is no terminal.
      stay: go on after the trainings have ended, for those that are resumed later.

    Raises:
      RunError: with `once`, what is no run, or a run that has written nothing to draw.
      UnreadableFile: a damaged file.
    """
    if once or not sys.stdout.isatty():
        for run in runs:
            if not any(found.steps for found in curves(run, items).values()):
                raise RunError(f"nothing to draw of {run}: {_why_nothing(run, items)}")
        print(chart(runs, items, *shutil.get_terminal_size(), colored=sys.stdout.isatty()))
        return
    seen, pause = None, _PAUSE
    with contextlib.suppress(KeyboardInterrupt), Live(console=Console(), screen=True, auto_refresh=False) as live:
        while seen is None or stay or not all(map(_is_over, runs)):
            size = shutil.get_terminal_size()
            if (now := (size, [_signs(run) for run in runs])) != seen:
                start = time.perf_counter()
                seen = now
                live.update(Text.from_ansi(chart(runs, items, *size)), refresh=True)
                pause = max(_PAUSE, _SHARE * (time.perf_counter() - start))
            time.sleep(pause)
    Console().print(Text.from_ansi(chart(runs, items, *shutil.get_terminal_size())))


def chart(runs: Sequence[Path], items: Sequence[str], width: int, height: int, *, colored: bool = True) -> str:
    """One panel for each item, with a curve for each run, and a line on each run below them."""
    found = {run: curves(run, items) for run in runs}
    looks = dict(zip(runs, itertools.cycle(_Look(*look) for look in zip(_COLORS, _MARKERS, strict=True)), strict=False))
    rows = max((height - len(runs) - 1) // len(items), _SHORTEST)
    panels = [_panel(item, [(looks[run], known[item]) for run, known in found.items()], width, rows, colored) for item in items]
    lines = [f"{_mark(looks[run], colored)} {_described(run, known, width - 2)}" for run, known in found.items()]
    return "\n".join([*panels, *lines])


class _Look(NamedTuple):
    color: str
    marker: str


def _mark(look: _Look, colored: bool) -> str:
    return str(plotext.colorize("━", look.color)) if colored else look.marker


def _panel(item: str, histories: Sequence[tuple[_Look, Curve]], width: int, height: int, colored: bool) -> str:
    """The chart of one item."""
    title, is_logarithmic, falls = ITEMS[item]
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.limit_size(False, False)
    plotext.plot_size(width, height)
    plotext.title(title if any(found.steps for _, found in histories) else f"{title}: nothing yet")
    parts = [(look, steps, values) for look, found in histories for steps, values in _parts(found, 2 * width)]
    positive = [value for *_, values in parts for value in values if value > 0]
    is_logarithmic &= bool(positive) and max(positive) > 10 * min(positive)
    if is_logarithmic:
        parts = [(look, steps, np.log10(np.maximum(values, min(positive)))) for look, steps, values in parts]
    for look, steps, values in parts:
        marker = "dot" if len(steps) == 1 else "braille" if colored or len(histories) == 1 else look.marker
        plotext.plot(list(steps), list(values), marker=marker, color=look.color)
    if parts:
        last = max(steps[-1] for _, steps, _ in parts)
        for end in {end for _, found in histories for end in found.ends if end < last}:
            plotext.vline(end, "gray")
        late = np.concatenate([values[int(_DISCARDED * len(values)) if falls else 0 :] for *_, values in parts])
        low, high = float(np.min(late)), float(np.max(late))
        if low == high:
            low, high = low - 0.05 * abs(low) - 1e-9, high + 0.05 * abs(high) + 1e-9
        plotext.ylim(low, high)
        ticks = _round_numbers(low, high, height // 2, 1 if is_logarithmic else 0)
        plotext.yticks(ticks, [f"{10**tick if is_logarithmic else tick:.5g}" for tick in ticks])
        plotext.xlim(0, last)
        plotext.xticks(ticks := _round_numbers(0, last, max(width // 12, 1)), [f"{tick:g}" for tick in ticks])
    text = plotext.build()
    return (text if colored else plotext.uncolorize(text)).rstrip("\n")


def _parts(found: Curve, most: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Steps and values of one stage after the other; where they are too many to be seen, as means over successive ones."""
    steps, values = np.array(found.steps), np.array(found.values)
    size = math.ceil(len(steps) / most)
    ends = [0, *np.searchsorted(steps, found.ends, side="right"), len(steps)]
    for first, end in itertools.pairwise(ends):
        if first < end:
            starts = np.arange(first, end, size)
            numbers = np.diff([*starts, end])
            yield np.add.reduceat(steps[:end], starts) / numbers, np.add.reduceat(values[:end], starts) / numbers


def _round_numbers(low: float, high: float, most: int, least: float = 0.0) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between two numbers, `least` or more apart."""
    distance = max((high - low) / most, least)
    power = 10.0 ** math.floor(math.log10(distance))
    width = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= distance * (1 - 1e-9))
    return [float(f"{width * number:.12g}") for number in range(math.ceil(low / width), math.floor(high / width) + 1)]


def _described(run: Path, found: Mapping[str, Curve], width: int) -> str:
    values = [f"{item} {one.values[-1]:.4g}" for item, one in found.items() if one.values]
    steps = [f"step {max(one.steps[-1] for one in found.values() if one.steps):g}"] if values else []
    text = ": " + ", ".join([_state(run), *steps, *values])
    left = max(width - len(text), 10)
    name = str(run) if len(str(run)) <= left else f"…{str(run)[1 - left :]}"
    return (name + text)[:width]


def _why_nothing(run: Path, items: Sequence[str]) -> str:
    """Why there is no value of any item. Raises `RunError` for what is no run."""
    check_run_folder(run)
    if is_locked(run):
        return "it has written nothing yet, try again later"
    if not any((folder / name).exists() for folder in stage_folders(run) for name in (STEPS, METRICS)):
        return f"it holds neither {STEPS} nor {METRICS}, name a run that has trained a flow"
    return f"it has no value of {' or '.join(items)}, choose others by --item"


def _state(run: Path) -> str:
    """How a training stands, in words."""
    if run.is_file():
        return "it is a file, not the folder of a run"
    if not run.is_dir():
        return "waiting, there is no such folder yet"
    if not (run / CONFIG).exists():
        return "it holds no config.yaml, so it is not the folder of a run"
    if _has_weights(run):
        return "finished"
    if not is_locked(run):
        return "no process is training it"
    return "training"


def _is_over(run: Path) -> bool:
    return (run / CONFIG).exists() and (_has_weights(run) or not is_locked(run))


def _has_weights(run: Path) -> bool:
    """Whether the weights were written after all else, so that they are the trained ones."""
    written = [_time(run / name) for name in (STEPS, METRICS)]
    return _time(run / WEIGHTS) > 0 and _time(run / WEIGHTS) >= max(written)


def _signs(run: Path) -> list[float | bool]:
    """What changes when a run writes."""
    return [_is_over(run), *(_time(folder / name) for folder in stage_folders(run) for name in (STEPS, METRICS))]


def _time(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0
