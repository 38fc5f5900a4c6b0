"""Registries of parts, and how a part is built from its entry in a configuration. No TensorFlow.

A part is a registered name and the keyword-only parameters of what is registered under it: these, with their annotations and
defaults, are its keys in a configuration, so that a new part needs no second description.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pydantic

from lattice_flows.config.errors import ConfigError, explain, nearest
from lattice_flows.config.schema import Checked, Component

__all__ = ["Registry"]


class Registry(dict[str, Callable]):
    """Name -> constructor of all parts of one kind.

    Example:

    ```python
    ACTIONS = Registry("action", {"scalar_phi4": ScalarPhi4})
    ACTIONS["mine"] = MyAction                                          # or @ACTIONS.register("mine") above the class
    action = ACTIONS.build(Component(name="mine", m2=1.0), lattice)
    ```

    Args:
      kind: what the parts are, for messages ("network").
      parts: the first entries.
    """

    def __init__(self, kind: str, parts: Mapping[str, Callable] | None = None):
        super().__init__(parts or {})
        self.kind = kind

    def register(self, name: str) -> Callable[[Callable], Callable]:
        """A decorator that registers what it stands above."""

        def add(part: Callable) -> Callable:
            self[name] = part
            return part

        return add

    def find(self, name: str) -> Callable:
        """What is registered under a name.

        Raises:
          ConfigError: nothing is; the message has the nearest name.
        """
        if name not in self:
            raise ConfigError(f"unknown {self.kind} {name!r}: {nearest(name, self)}")
        return self[name]

    def complete(self, component: Component) -> dict[str, Any]:
        """The checked keyword parameters of a component, defaults included.

        Raises:
          ConfigError: an unknown name, or an unknown, missing or mistyped parameter.
        """
        fields = {
            name: (parameter.annotation, ... if parameter.default is parameter.empty else parameter.default)
            for name, parameter in inspect.signature(self.find(component.name)).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY
        }
        model = pydantic.create_model(self.kind, __base__=Checked, **fields)
        try:
            checked = model.model_validate(component.parameters)
        except pydantic.ValidationError as error:
            raise ConfigError(f"{self.kind} {component.name!r}: {explain(error, model)}") from None
        return {name: getattr(checked, name) for name in fields}

    def build(self, component: Component, *arguments) -> Any:
        """Calls what is registered under the component's name with the arguments and its checked parameters.

        Raises:
          ConfigError: as `complete`, or a value that the constructor refuses.
        """
        parameters = self.complete(component)
        try:
            return self[component.name](*arguments, **parameters)
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(f"{self.kind} {component.name!r}: {error}") from None
