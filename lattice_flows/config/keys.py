"""Single keys of configurations and their values, as texts. No TensorFlow."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lattice_flows.config.errors import ConfigError
from lattice_flows.reading import parse_yaml, reading

__all__ = ["as_text", "described", "given", "one_of_each", "tree", "trees"]

_EXAMPLE = "give a key and values between commas, such as flow.layers=1,2,4 or flow.network.hidden=[8,8],[16,16]"


def given(texts: Sequence[str], flag: str) -> dict[str, list[Any]]:
    """Dotted keys and their values, from texts such as `flow.layers=1,2,4`, which a flag was given.

    Values stand between commas, each as in a configuration file, so lists and mappings are values too:
    `flow.network.hidden=[8,8],[16,16]`.

    Raises:
      ConfigError: a text without a key or values, values that are no YAML, or a key that stands twice.
    """
    found: dict[str, list[Any]] = {}
    for text in texts:
        key, _, values = (part.strip() for part in text.partition("="))
        if not values or not re.fullmatch(r"\w+(\.\w+)*", key):
            raise ConfigError(f"{flag} has the value {text!r}: {_EXAMPLE}")
        with reading(f"{flag} {text}", _EXAMPLE, ConfigError):
            listed = parse_yaml(f"[{values}]")
        if key in found:
            raise ConfigError(f"{flag} has {key} twice: give all its values at once, such as {key}={values},...")
        found[key] = listed
    return found


def one_of_each(texts: Sequence[str], flag: str, sections: Sequence[str]) -> list[dict[str, Any]]:
    """The trees of keys with one value each, from texts such as `chain.length=1000`.

    Args:
      texts: as for `given`.
      flag: that has them.
      sections: of the configuration, in which the keys must be.

    Raises:
      ConfigError: as for `given`, a key with several values, or one of another section.
    """
    found = given(texts, flag)
    for key, values in found.items():
        if key.split(".")[0] not in sections:
            raise ConfigError(f"{flag} has the key {key}: here it may be one of {', '.join(sections)}")
        if len(values) != 1:
            raise ConfigError(f"{flag} has {len(values)} values for {key}: give one")
    return trees({key: value for key, (value,) in found.items()})


def trees(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The trees of dotted keys, in the order in which they go on top of a configuration.

    Names come first: one would replace the options of its part that came before it.
    """
    ordered = sorted(values, key=lambda key: (key.count("."), not key.endswith(".name")))
    return [tree(key, values[key]) for key in ordered]


def tree(key: str, value: Any) -> Any:
    """A value under the last part of a dotted key, in nested mappings."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def described(values: Mapping[str, Any]) -> str:
    """Dotted keys with their values, for a line of text."""
    return ", ".join(f"{key} = {as_text(value)}" for key, value in values.items())


def as_text(value: Any) -> str:
    """A value in one line."""
    return value if isinstance(value, str) else json.dumps(value)
