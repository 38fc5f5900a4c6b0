"""What configurations are made of: types with their limits, and parts with a registered name. No TensorFlow."""

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import pydantic
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat
from pydantic_core import PydanticCustomError

from lattice_flows.config.errors import OUT_OF_RANGE, shown

__all__ = [
    "BELOW",
    "Checked",
    "Component",
    "NonEmptyStr",
    "NonNegativeInt",
    "Numbers",
    "PositiveInt",
    "Probability",
    "Sizes",
    "check_numbers",
]

# Larger numbers overflow in TensorFlow and NumPy.
BELOW = 2**31
PositiveInt = Annotated[int, Field(gt=0, lt=BELOW)]
NonNegativeInt = Annotated[int, Field(ge=0, lt=BELOW)]
Sizes = Annotated[tuple[PositiveInt, ...], Field(strict=False)]  # YAML has lists, a checked configuration has tuples
Numbers = Annotated[tuple[PositiveFloat, ...], Field(strict=False)]
Probability = Annotated[float, Field(gt=0, lt=1)]
NonEmptyStr = Annotated[str, Field(min_length=1)]  # an empty path would be the present folder


class Checked(BaseModel):
    """Refuses unknown keys and values of another type; a checked configuration is immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _numbers(value: Any, key: str = "") -> Iterator[tuple[str, int | float]]:
    """Dotted keys and numbers in nested mappings and lists."""
    if isinstance(value, int | float):
        yield key, value
    elif isinstance(value, Mapping | list | tuple):
        for name, entry in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _numbers(entry, f"{key}.{name}" if key else str(name))


def check_numbers(parameters: Mapping[str, Any]) -> None:
    """Raises an error of pydantic for a number, anywhere in a tree, that TensorFlow or NumPy cannot take."""
    for key, number in _numbers(parameters):
        if not (math.isfinite(number) if isinstance(number, float) else abs(number) < BELOW):
            context = {"key": key, "value": shown(number)}
            raise PydanticCustomError(OUT_OF_RANGE, "it must be a finite number, an integer below 2^31", context)


class Component(BaseModel):
    """A registered name and the parameters of what is registered under it; `Registry.build` checks them.

    A plain string is short for a name without parameters.

    Attributes:
      name: the registered name.
      inherited: parameters that were written for a component of another name; those that this one does not take are dropped.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)
    name: str
    inherited: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @pydantic.model_validator(mode="after")
    def _within_range(self) -> "Component":
        check_numbers(self.parameters)
        return self

    @pydantic.model_serializer(mode="wrap")
    def _without_empty_mark(self, serialize: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        tree = serialize(self)
        if not self.inherited:
            del tree["inherited"]
        return tree

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.__pydantic_extra__ or {})
