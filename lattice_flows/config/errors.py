"""Configurations that cannot be used, and how they are explained."""

from collections.abc import Iterable

import pydantic

from lattice_flows.errors import UserError, nearest

__all__ = ["ConfigError", "explain"]


class ConfigError(UserError, ValueError):
    """A configuration that cannot be used; the message names the key, its value and what would be right."""


def explain(error: pydantic.ValidationError, model: type[pydantic.BaseModel], others: Iterable[str] = ()) -> str:
    """One line for every complaint: the dotted key, the value, what would be right."""
    lines = []
    for complaint in error.errors():
        key = ".".join(str(part) for part in complaint["loc"])
        if complaint["type"] == "extra_forbidden":
            known = [*_fields(model, complaint["loc"][:-1]), *others]
            lines.append(f"unknown key {key!r}: {nearest(str(complaint['loc'][-1]), dict.fromkeys(known))}")
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
