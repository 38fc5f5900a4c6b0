"""The accuracy of bijectors that are solved by integration, anywhere in a flow.

A bijector that is solved by integration knows its density up to the error of the integration. Two members say so:

    integration_steps                   the number of steps
    with_integration_steps(steps)       the same map with the same variables, integrated in that many steps

A third one is optional: `next_integration_steps`, the next larger number of steps that is a good one, below twice as many.

Parts are found among the submodules of a flow, so one may stand in a `tfb.Chain`, in a `tfb.Invert`, or deeper.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import tensorflow as tf

__all__ = ["Integrated", "integrated_parts", "more_steps", "with_integration_steps"]


class Integrated(Protocol):
    """What a bijector that is solved by integration offers."""

    name: str
    integration_steps: int

    def with_integration_steps(self, steps: int) -> "Integrated":
        """Returns the same map, with the same variables, integrated in another number of steps."""


def integrated_parts(module: tf.Module) -> dict[str, Integrated]:
    """Finds all parts that are solved by integration.

    Args:
      module: a flow, a distribution or a bijector.

    Returns:
      The parts by name. Of parts with the same name, the second is called `name_1`, the third `name_2`, and so on.
    """
    found: dict[str, Integrated] = {}
    for part in (module, *module.submodules):
        if hasattr(part, "with_integration_steps"):
            namesakes = sum(part.name == other.name for other in found.values())
            found[f"{part.name}_{namesakes}" if namesakes else part.name] = part
    return found


def more_steps(module: tf.Module, slightly: bool) -> dict[str, int]:
    """Numbers of steps by the names of `integrated_parts`: twice as many, or the next ones of parts that have such, if slightly."""

    def more(part: Integrated) -> int:
        twice = 2 * part.integration_steps
        return getattr(part, "next_integration_steps", twice) if slightly else twice

    return {name: more(part) for name, part in integrated_parts(module).items()}


def with_integration_steps(module: tf.Module, steps: Mapping[str, int]) -> tf.Module:
    """Rebuilds a distribution or a bijector so that its parts are integrated in other numbers of steps.

    Composites of TensorFlow Probability are rebuilt from their parameters; all variables stay the same objects.

    Args:
      module: the distribution or bijector.
      steps: the number of steps of every part, by the names of `integrated_parts`.

    Returns:
      A module like the given one, which is left as it was.

    Raises:
      ValueError: the names are not those of the parts, a number is not positive, or a composite cannot be rebuilt.
    """
    parts = integrated_parts(module)
    if parts.keys() != steps.keys():
        raise ValueError(f"integration steps are needed for exactly the parts {sorted(parts)}, got {dict(steps)}")
    if any(number < 1 for number in steps.values()):
        raise ValueError(f"integration steps must be positive, got {dict(steps)}")
    changed = {id(part): part.with_integration_steps(int(steps[name])) for name, part in parts.items()}
    rebuilt = _rebuilt(module, changed)
    if {name: part.integration_steps for name, part in integrated_parts(rebuilt).items()} != dict(steps):
        raise ValueError(
            f"{module.name!r} keeps the old integration steps of some part; parts must be parameters of what holds them"
        )
    return rebuilt


def _rebuilt(part: Any, changed: Mapping[int, Integrated]) -> Any:
    """A part with the listed parts below it replaced, by id; the part itself where nothing changes."""
    if id(part) in changed:
        return changed[id(part)]
    if not any(id(below) in changed for below in getattr(part, "submodules", ())):
        return part
    old = getattr(part, "parameters", {})
    new = {key: tf.nest.map_structure(lambda leaf: _rebuilt(leaf, changed), value) for key, value in old.items()}
    kind = type(part).__name__
    if all(
        one is other for one, other in zip(tf.nest.flatten(list(new.values())), tf.nest.flatten(list(old.values())), strict=True)
    ):
        raise ValueError(
            f"cannot change the integration steps of a part inside {part.name!r} ({kind}): none of its `parameters` holds the "
            "part. Make it a TFP bijector that takes the part as an argument, or give it `with_integration_steps` itself"
        )
    # Not by `copy`: that of a distribution keeps the original, with the old steps, as a submodule.
    made = type(part)(**new)
    if {id(variable) for variable in made.variables} != {id(variable) for variable in part.variables}:
        raise ValueError(
            f"cannot change the integration steps of a part inside {part.name!r} ({kind}): a copy of it makes new variables. "
            "Let its constructor take them, or give it `with_integration_steps` itself"
        )
    return made
