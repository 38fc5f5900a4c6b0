"""How one configuration is put on top of another. No TensorFlow.

Mappings are merged key by key. A mapping with a different ``name`` replaces the one below it entirely, so that another network does
not inherit the old one's options. Where the one below has no name, its options are those of the part that is there by default. The
action alone keeps the parameters that both actions take, such as the bare mass.
"""

from collections.abc import Mapping
from typing import Any

from lattice_flows.config.aliases import translated

__all__ = ["DEFAULT_NAMES", "on_top"]

# Key of a part -> what it is where a configuration leaves the name out, by the schema and by the flows that have such a part.
DEFAULT_NAMES = {
    "optimizer": "natural_gradient",
    "schedule": "cosine",
    "prior": "free_field",
    "network": "propagator",
    "inner": "affine",
}


def on_top(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One whole configuration, or a part of it, on top of another one."""
    above = translated(above)
    merged = _key_by_key(_without_other_length(below, above), {key: value for key, value in above.items() if key != "action"})
    if "action" in above:
        merged["action"] = _action(below.get("action"), above["action"])
    return merged


def _without_other_length(below: Mapping[str, Any], above: Mapping[str, Any]) -> Mapping[str, Any]:
    """`below` without the length of the local Metropolis chain where `above` gives it by the other of its two keys."""
    here, there = (_metropolis(tree) for tree in (above, below))
    replaced = [old for new, old in (("configurations", "updates"), ("updates", "configurations")) if new in here and old in there]
    if not replaced:
        return below
    settings = {key: value for key, value in there.items() if key not in replaced}
    return {**below, "samplers": {**below["samplers"], "metropolis": settings}}


def _metropolis(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    samplers = tree.get("samplers")
    settings = samplers.get("metropolis") if isinstance(samplers, Mapping) else None
    return settings if isinstance(settings, Mapping) else {}


def _key_by_key(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    return {**below, **{key: _merged(key, below.get(key), value) for key, value in above.items()}}


def _merged(key: str, below: Any, above: Any) -> Any:
    """`above` on top of `below`, the two values of a key; a component may be given by its name alone."""
    name = below.get("name", DEFAULT_NAMES.get(key)) if isinstance(below, Mapping) else None
    if name is not None and isinstance(above, str):
        above = {"name": above}
    if isinstance(above, Mapping) and "name" not in above and isinstance(below, str):
        below = {"name": below}
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    if "name" in above and name is not None and above["name"] != name:
        return dict(above)
    return _key_by_key(below, above)


def _action(below: Any, above: Any) -> Any:
    """The action on top of another one, whose parameters are kept and marked as inherited if the name is different."""
    below, above = ({"name": action} if isinstance(action, str) else action for action in (below, above))
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    marked = below.get("inherited", ())
    if above.get("name", below.get("name")) != below.get("name"):
        marked = [key for key in below if key not in ("name", "inherited")]
    merged = {**{key: value for key, value in below.items() if key != "inherited"}, **above}
    marked = [key for key in marked if key not in above]
    return merged | {"inherited": marked} if marked else merged
