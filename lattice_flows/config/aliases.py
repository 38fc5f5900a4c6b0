"""Keys of earlier versions: configurations, run folders and weights files that use them still load. No TensorFlow."""

from collections.abc import Mapping
from typing import Any

from lattice_flows.config.errors import ConfigError

__all__ = ["RENAMED", "translated"]

# Earlier dotted key -> present one. Entries of a mapping stand before the mapping itself.
RENAMED = {
    "flow.reach": "flow.kernel_radius",
    "flow.site_maps": "flow.element_wise_maps",
    "training.optimizer.memory": "training.optimizer.decay",
    "training.optimizer.trust": "training.optimizer.largest_kl_step",
    "training.absolute_error_steps": "training.initial_loss_steps",
    "hmc.trajectories": "hmc.updates",
    "hmc.save_every": "hmc.thinning",
    "hmc": "samplers.hmc",
    "metropolis.sweeps_between": "metropolis.thinning",
    "metropolis": "samplers.metropolis",
}
_CONFIGURATIONS = "samplers.metropolis.configurations"
_UPDATES = "samplers.metropolis.updates"
_THINNING = "samplers.metropolis.thinning"
_DEFAULT_THINNING = 10


def translated(tree: Mapping[str, Any], below: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A configuration, or a part of one, with present keys in place of earlier ones.

    Args:
      tree: nested mappings; it is not changed.
      below: the configuration that it will be merged into, whose thinning counts where `tree` gives none.

    Raises:
      ConfigError: a key and its earlier name are both given.
    """
    found = _copied(tree)
    absolute_error_steps = _lookup(found, "training.absolute_error_steps")
    for old, new in RENAMED.items():
        _move(found, old, new)
    if absolute_error_steps is not None:
        found["training"].setdefault("initial_loss", "absolute_error" if absolute_error_steps else None)
    configurations = _lookup(found, _CONFIGURATIONS)
    if isinstance(configurations, int):
        _move(found, _CONFIGURATIONS, _UPDATES)
        thinning = _lookup(found, _THINNING) or _lookup(below or {}, _THINNING) or _DEFAULT_THINNING
        found["samplers"]["metropolis"]["updates"] = configurations * thinning
    if isinstance(found.get("stages"), list | tuple):
        found["stages"] = [translated(entry, found) if isinstance(entry, Mapping) else entry for entry in found["stages"]]
    return found


def _move(tree: dict[str, Any], old: str, new: str) -> None:
    """Moves an entry in place, if it is there, and merges a mapping into the one that is there already."""
    *path, last = old.split(".")
    parent = _lookup(tree, *path)
    if not isinstance(parent, dict) or last not in parent:
        return
    value = parent[last]
    *path, name = new.split(".")
    for key in path:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            return  # the schema refuses it
    del parent[last]
    both = [tree.get(name), value]
    if name not in tree:
        tree[name] = value
    elif all(isinstance(part, dict) for part in both) and not both[0].keys() & both[1].keys():
        tree[name] |= value
    else:
        raise ConfigError(f"the keys {old!r} and {new!r} are both given: {old!r} is the earlier name, keep {new!r}")


def _lookup(tree: Mapping[str, Any], *keys: str) -> Any:
    """The entry under keys, dotted or one by one, None where there is none."""
    found: Any = tree
    for key in ".".join(keys).split(".") if keys else ():
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _copied(tree: Any) -> Any:
    return {key: _copied(value) for key, value in tree.items()} if isinstance(tree, Mapping) else tree
