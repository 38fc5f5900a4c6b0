"""Checks of numbers that samplers are given: annotations are for configurations alone, not for those who call them from Python."""

import numbers

__all__ = ["check_at_least"]


def check_at_least(least: int, **given: int | None) -> None:
    """Checks numbers by their names; None stands for a default.

    Raises:
      ValueError: one is not an integer, or is too small.
    """
    for name, value in given.items():
        if value is not None and not (isinstance(value, numbers.Integral) and value >= least):
            raise ValueError(f"{name} must be an integer, {least} or more, not {value!r}")
