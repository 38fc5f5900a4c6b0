"""Whether results on one ensemble agree with each other."""

import itertools
from collections.abc import Sequence

import numpy as np

from lattice_flows.config import ConfigError
from lattice_flows.measurement.agreement import Agreement, Sampled, agreement
from lattice_flows.measurement.result import Result

__all__ = ["independent", "sampler_agreement"]


def independent(one: Result, other: Result) -> bool:
    """Whether two results share no random numbers. Sampler and seed determine these, even where the samplers use two flows."""
    return (one.sampler, one.seed) != (other.sampler, other.seed)


def sampler_agreement(results: Sequence[Result]) -> Agreement:
    """Chi-square of samplers of one distribution against their common mean, over those observables that all of them know.

    Raises:
      ConfigError: the results are on different lattices, of different actions, or not `independent`, or they have no observable in
        common.
    """
    _check_physics(results)
    _check_independent(results)
    names = [name for name in results[0].correlation.of if all(_is_known(result, name) for result in results)]
    if not names:
        raise ConfigError(f"the samplers {_samplers(results)} have no observable with an error in common: draw longer chains")
    return agreement([_sampled(result, names) for result in results])


def _check_physics(results: Sequence[Result]) -> None:
    found = [(tuple(result.lattice_shape), dict(result.action)) for result in results]
    for result, (shape, action) in zip(results, found, strict=True):
        if (shape, action) != found[0]:
            raise ConfigError(
                f"the samplers {_samplers(results)} cannot agree: {results[0].sampler} has the lattice {found[0][0]} and the "
                f"action {found[0][1]}, {result.sampler} has {shape} and {action}; compare results of one lattice and action"
            )


def _check_independent(results: Sequence[Result]) -> None:
    for one, other in itertools.combinations(results, 2):
        if not independent(one, other):
            raise ConfigError(
                f"two results of the sampler {one.sampler} with the seed {one.seed} share their random numbers, and are no test of "
                "each other: compare results of different samplers or seeds"
            )


def _samplers(results: Sequence[Result]) -> str:
    return ", ".join(result.sampler for result in results)


def _is_known(result: Result, name: str) -> bool:
    number = result.estimate(name)
    return name in result.correlation.of and number is not None and np.isfinite(number.value) and number.error > 0


def _sampled(result: Result, names: Sequence[str]) -> Sampled:
    at = [result.correlation.of.index(name) for name in names]
    matrix = np.asarray(result.correlation.matrix)[np.ix_(at, at)]
    numbers = [number for name in names if (number := result.estimate(name))]
    return Sampled(numbers, matrix, result.correlation.bins)
