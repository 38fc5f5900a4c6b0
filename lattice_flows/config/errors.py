"""Configurations that cannot be used, and how they are explained."""

import difflib
from collections.abc import Iterable

import pydantic

__all__ = ["ConfigError", "explain", "nearest"]


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the key, its value and what would be right."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the nearest known name, or all of them."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"


def explain(error: pydantic.ValidationError, model: type[pydantic.BaseModel]) -> str:
    """One line for every complaint: the dotted key, the value, what would be right."""
    lines = []
    for complaint in error.errors():
        key = ".".join(str(part) for part in complaint["loc"])
        if complaint["type"] == "extra_forbidden":
            lines.append(f"unknown key {key!r}: {nearest(str(complaint['loc'][-1]), _fields(model, complaint['loc'][:-1]))}")
        elif complaint["type"] == "missing":
            lines.append(f"missing key {key!r}")
        else:
            message = complaint["msg"][0].lower() + complaint["msg"][1:]
            lines.append(f"key {key!r} has the value {complaint['input']!r}: {message}")
    return "; ".join(lines)


def _fields(model: type[pydantic.BaseModel], location: tuple) -> list[str]:
    """The keys known at a place in the tree of models."""
    for part in location:
        model = model.model_fields[part].annotation
    return list(model.model_fields)
