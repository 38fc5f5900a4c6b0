"""Configurations that cannot be used, and how they are explained."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, get_args

import pydantic

from lattice_flows.errors import UserError, nearest

__all__ = ["OUT_OF_RANGE", "ConfigError", "explain", "shown", "worded"]

# The type of pydantic's complaints about numbers inside of a component.
OUT_OF_RANGE = "out_of_range"
_LONGEST_VALUE = 100
_NO_KEYS = "there are no keys here; those of a part are its keyword-only parameters, after *"


class ConfigError(UserError, ValueError):
    """A configuration that cannot be used; the message names the key, its value and what would be right."""


def explain(error: pydantic.ValidationError, model: type[pydantic.BaseModel], others: Iterable[str] = ()) -> str:
    """One line for every complaint: the dotted key, the value, what would be right."""
    lines = []
    complaints = error.errors()
    for complaint in complaints:
        key = ".".join(str(part) for part in complaint["loc"])
        if complaint["type"] == "extra_forbidden":
            known = dict.fromkeys([*_fields(model, complaint["loc"][:-1]), *others])
            advice = nearest(str(complaint["loc"][-1]), known) if known else _NO_KEYS
            lines.append(f"unknown key {key!r}: {advice}")
        elif complaint["type"] == "too_short" and any(_is_below(other["loc"], complaint["loc"]) for other in complaints):
            continue  # entries that are refused themselves do not count in a list
        elif complaint["type"] == "missing":
            lines.append(f"missing key {key!r}")
        elif complaint["type"] == OUT_OF_RANGE:  # somewhere inside of a component
            inside, value = complaint["ctx"]["key"], complaint["ctx"]["value"]
            lines.append(f"key {f'{key}.{inside}' if key else inside!r} has the value {value}: {complaint['msg']}")
        else:
            lines.append(f"key {key!r} has the value {shown(complaint['input'])}: {worded(complaint['msg'])}")
    return "; ".join(lines)


def worded(complaint: str) -> str:
    """A complaint of pydantic, in words that suit a configuration."""
    complaint = complaint.removeprefix("Value error, ")
    complaint = complaint[0].lower() + complaint[1:]
    complaint = re.sub(r"a valid dictionary( or instance of \w+)?", "a mapping of keys to values", complaint)
    complaint = re.sub(
        r"(?:tuple|list) should have at least (\d+) items? after validation.*", r"it should have \1 or more entries", complaint
    )
    complaint = re.sub(
        r"(?:tuple|list) should have at most (\d+) items? after validation.*", r"it should have \1 entries or fewer", complaint
    )
    complaint = complaint.replace("string should have at least 1 character", "it should not be empty")
    return complaint.replace("a valid tuple", "a list, in brackets").replace("tuple", "list")


def shown(value: Any) -> str:
    """A value in a message: its beginning, where it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "an endless integer"
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]} ..."


def _fields(model: type[pydantic.BaseModel], location: Sequence[Any]) -> list[str]:
    """The keys known at a place in the tree of models, some of which may be left out, `X | None`."""
    for part in location:
        if part in model.model_fields:  # others are places in lists
            annotation: Any = model.model_fields[part].annotation
            model = next((each for each in (annotation, *get_args(annotation)) if hasattr(each, "model_fields")), model)
    return list(model.model_fields)


def _is_below(location: Sequence[Any], above: Sequence[Any]) -> bool:
    return len(location) > len(above) and location[: len(above)] == above
