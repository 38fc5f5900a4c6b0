"""Registries of parts, and how a part is built from its entry in a configuration. No TensorFlow.

A part is a registered name and the keyword-only parameters of what is registered under it: these, with their annotations and
defaults, are its keys in a configuration, so that a new part needs no second description.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import pydantic

from lattice_flows.config.components import Checked, Component
from lattice_flows.config.errors import ConfigError, explain
from lattice_flows.errors import closest, nearest

__all__ = ["Registry"]

Part = TypeVar("Part")  # a class or a function


class Registry(dict[str, Any]):
    """Name -> constructor of all parts of one kind.

    A parameter that is a part itself is annotated with its registry, `prior: Annotated[Component, PRIORS]`. It is then checked and
    completed with its defaults together with the part that it belongs to.

    ```python
    from lattice_flows.config import Component, Registry

    SHAPES = Registry("shape")

    @SHAPES.register("rectangle")
    def rectangle(lattice, *, height: float = 1.0, width: float):
        return height * width

    print(SHAPES.build(Component(name="rectangle", width=2.0), lf.Lattice((4, 4))))   # 2.0
    ```

    Args:
      kind: what the parts are, for messages ("network").
      parts: the first entries.
    """

    def __init__(self, kind: str, parts: Mapping[str, Any] | None = None):
        super().__init__(parts or {})
        self.kind = kind

    def __setitem__(self, name: str, part: Any) -> None:
        """Registers a part. The same definition may be executed again, as in a notebook.

        Raises:
          ConfigError: the name is that of another part.
        """
        if name in self and _defined_as(self[name]) != _defined_as(part):
            raise ConfigError(
                f"there is another {self.kind} {name!r}, {_defined_as(self[name])}: choose another name, or take that one away "
                "first by `del`"
            )
        super().__setitem__(name, part)

    def update(self, parts: Mapping[str, Any]) -> None:  # type: ignore[override]  # a mapping alone
        """Registers several parts, as one by one."""
        for name, part in parts.items():
            self[name] = part

    def register(self, name: str) -> Callable[[Part], Part]:
        """A decorator that registers the function or class below it."""

        def add(part: Part) -> Part:
            self[name] = part
            return part

        return add

    def find(self, name: str) -> Any:
        """What is registered under a name.

        Raises:
          ConfigError: nothing is; the message has the nearest name.
        """
        if name not in self:
            own = "" if closest(name, self) else "; one of your own needs a program that imports it (CONTRIBUTING.md)"
            raise ConfigError(f"unknown {self.kind} {name!r}: {nearest(name, self)}{own}")
        return self[name]

    def complete(self, component: Component | Mapping[str, Any] | str, others: Iterable[str] = ()) -> dict[str, Any]:
        """The checked keyword parameters of a component, defaults included.

        Args:
          component: a component, its dump, or a name alone.
          others: keys beside the component's own that its entry in a configuration may have, for messages.

        Raises:
          ConfigError: an unknown name, or an unknown, missing or mistyped parameter.
        """
        component = self._component(component)
        known = {
            name: parameter
            for name, parameter in inspect.signature(self.find(component.name)).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY
        }
        fields: dict[str, Any] = {name: (_annotation(parameter), _default(parameter, ...)) for name, parameter in known.items()}
        model = pydantic.create_model(self.kind, __base__=Checked, **fields)
        given = {key: value for key, value in component.parameters.items() if key in known or key not in component.inherited}
        for name, parameter in known.items():
            if isinstance(given.get(name), Mapping) and isinstance(_default(parameter), Component):
                given[name] = {"name": parameter.default.name, **given[name]}
        try:
            checked = model.model_validate(given)
        except pydantic.ValidationError as error:
            raise ConfigError(f"{self.kind} {component.name!r}: {explain(error, model, others)}") from None
        return {name: _completed(getattr(checked, name), parameter) for name, parameter in known.items()}

    def completed(self, component: Component | Mapping[str, Any] | str) -> Component:
        """The component with every parameter written out, as a run records it. Raises `ConfigError` as `complete` does."""
        component = self._component(component)
        return Component(name=component.name, **self.complete(component))

    def parameters_of(self, name: str, registry: "Registry") -> list[str]:
        """The parameters of what is registered under a name whose annotation says that they are components of a registry."""
        known = inspect.signature(self.find(name)).parameters.values()
        return [parameter.name for parameter in known if any(each is registry for each in _registries(parameter))]

    def build(self, component: Component | Mapping[str, Any] | str, *arguments: Any) -> Any:
        """Calls what is registered under the component's name with the arguments and its checked parameters.

        Raises:
          ConfigError: as for `complete`, or a value that the constructor refuses.
        """
        component = self._component(component)
        parameters = self.complete(component)
        try:
            return self[component.name](*arguments, **parameters)
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(f"{self.kind} {component.name!r}: {error}") from None

    def _component(self, component: Component | Mapping[str, Any] | str) -> Component:
        try:
            return Component.model_validate(component)
        except pydantic.ValidationError as error:
            raise ConfigError(f"{self.kind}: {explain(error, Component)}") from None


def _defined_as(part: Any) -> Any:
    """Where a part is defined; the part itself where that does not tell."""
    name = getattr(part, "__qualname__", "<")
    return part if name.endswith("<lambda>") or name == "<" else f"{part.__module__}.{name}"


def _annotation(parameter: inspect.Parameter) -> Any:
    return Any if parameter.annotation is parameter.empty else parameter.annotation


def _default(parameter: inspect.Parameter, missing: Any = None) -> Any:
    return missing if parameter.default is parameter.empty else parameter.default


def _registries(parameter: inspect.Parameter) -> list[Registry]:
    return [item for item in getattr(parameter.annotation, "__metadata__", ()) if isinstance(item, Registry)]


def _completed(value: Any, parameter: inspect.Parameter) -> Any:
    """A checked value; a component whose annotation names its registry is checked and completed too."""
    registries = _registries(parameter)
    return registries[0].completed(value) if registries and isinstance(value, Component) else value
