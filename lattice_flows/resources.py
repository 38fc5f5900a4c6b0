"""Memory and disk that work needs, estimated before it begins: what cannot fit is refused while nothing is lost. No TensorFlow.

The estimates of memory are low: what they refuse exceeds the machine by far, and what they let pass may still fail. Work is counted
in fields that a flow draws, times their sites.
"""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import psutil

from lattice_flows.errors import UserError

__all__ = [
    "SITES_AT_ONCE",
    "NotEnough",
    "chain_bytes",
    "chain_work",
    "check_disk",
    "check_memory",
    "drawn_at_once",
    "ensemble_bytes",
    "evaluation_samples",
    "fitting",
    "formatted",
    "lattice_bytes",
    "sampler_bytes",
    "training_bytes",
    "training_work",
]

_DOUBLE, _FLOAT = 8, 4
_SITES_OF_A_DRAW = 2**21
_LARGEST_FOR_ALL, _FEWEST_SAMPLES = 1024, 512  # sites, and samples of an evaluation
# Sites of the fields that a gradient is computed of at once, see `training.chunks`, and bytes that it keeps for each, at least: the
# affine flow of 16 layers half a GiB.
SITES_AT_ONCE, _OF_A_GRADIENT = 2**16, 256
# How many fields a flow draws while it finds the gradient and Fisher's matrix of one: 4 to 15 for the flows in `paper/trained`.
_FIELDS_OF_A_GRADIENT = 8


class NotEnough(UserError):
    """Work that needs more memory or disk than there is; the message has the estimate, what there is, and what to change."""


def check_memory(needed: float, what: str, advice: str) -> None:
    """Refuses work that does not fit into the memory of the machine, however empty it may be.

    ```python
    from lattice_flows.resources import check_memory, lattice_bytes

    check_memory(lattice_bytes((64, 64)), "a lattice of 64 x 64", "use a smaller one")
    ```

    Args:
      needed: bytes.
      what: needs them.
      advice: what to change.

    Raises:
      NotEnough: the machine has less.
    """
    total = psutil.virtual_memory().total
    if needed > total:
        raise NotEnough(f"{what} needs about {formatted(needed)} of memory or more, the machine has {formatted(total)}: {advice}")


def check_disk(needed: float, folder: str | Path, what: str, advice: str) -> None:
    """Refuses work that does not fit on a disk, as it is filled now.

    Args:
      needed: bytes.
      folder: where they are to be written; it need not exist yet.
      what: needs them.
      advice: what to change.

    Raises:
      NotEnough: less is free.
    """
    place = next((each for each in (Path(folder), *Path(folder).absolute().parents) if each.exists()), Path())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise NotEnough(f"{what} needs about {formatted(needed)} of disk, {formatted(free)} are free in {place}: {advice}")


def formatted(size: float) -> str:
    """A number of bytes in the largest unit that keeps it above 1: 3.2 GB."""
    units = ("B", "kB", "MB", "GB", "TB", "PB")
    power = min(int(math.log10(max(size, 1)) // 3), len(units) - 1)
    return f"{size / 1000**power:.3g} {units[power]}"


def lattice_bytes(shape: Sequence[int]) -> float:
    """What classes of momenta and displacements and the matrices of Fourier transforms take."""
    return _DOUBLE * (4 * (len(shape) + 1) * math.prod(shape) + sum(extent**2 for extent in shape if extent > 2))


def training_bytes(shape: Sequence[int], batch: int, evaluation: int = 0) -> float:
    """What a training step takes: the fields of a batch, and what the gradient of those keeps that are computed at once.

    Args:
      shape: of the lattice.
      batch: number of fields.
      evaluation: number of log weights.
    """
    volume = math.prod(shape)
    at_once = max(volume, min(batch * volume, SITES_AT_ONCE))
    return lattice_bytes(shape) + 2 * _FLOAT * batch * volume + _OF_A_GRADIENT * at_once + _DOUBLE * evaluation


def sampler_bytes(shape: Sequence[int], chains: int) -> float:
    """What chains take while they move: fields, momenta, forces, proposals, and what is measured on them."""
    return 8 * _DOUBLE * chains * math.prod(shape)


def chain_bytes(length: float) -> float:
    """What measuring the chain of a flow takes besides the bins: weights, accept decisions, the row of every configuration."""
    return 8 * _DOUBLE * length


def ensemble_bytes(rows: float, shape: Sequence[int], numbers: int) -> float:
    """The size of an ensemble, on disk or in memory: its configurations, and what was measured on them.

    Args:
      rows: stored configurations of all chains together; those of thermalisation are stored of flows alone.
      shape: of the lattice.
      numbers: measured on a configuration; with its log weight and row, if it is a proposal of a flow.
    """
    return rows * (_FLOAT * math.prod(shape) + _DOUBLE * numbers)


def fitting(most: int, sites: int, shape: Sequence[int]) -> int:
    """The largest number of fields, from one up to `most`, that have no more than so many sites in all."""
    return max(min(most, sites // math.prod(shape)), 1)


def drawn_at_once(asked: int, shape: Sequence[int]) -> int:
    """How many fields a flow draws in a compiled call where so many are asked for: no more than have 2^21 sites in all."""
    return fitting(asked, _SITES_OF_A_DRAW, shape)


def evaluation_samples(asked: int, shape: Sequence[int]) -> int:
    """How many samples an evaluation of a flow draws where so many are asked for.

    All of them on lattices of up to 1024 sites; on larger ones fewer, with as many sites in all, but 512 at least: estimates from
    fewer are biased.
    """
    return fitting(asked, max(asked * _LARGEST_FOR_ALL, _FEWEST_SAMPLES * math.prod(shape)), shape)


def training_work(shape: Sequence[int], gradients: float, samples: float) -> float:
    """What a training takes.

    Args:
      shape: of the lattice.
      gradients: number of fields that a gradient is computed of, in all steps together.
      samples: number of fields in all evaluations together.
    """
    return math.prod(shape) * (_FIELDS_OF_A_GRADIENT * gradients + samples)


def chain_work(shape: Sequence[int], length: float) -> float:
    """What the chain of a flow takes.

    Args:
      shape: of the lattice.
      length: number of proposals.
    """
    return math.prod(shape) * length
