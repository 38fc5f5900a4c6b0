"""Keys of earlier versions: configurations, run folders and weights files that use them still load. No TensorFlow."""

from collections.abc import Mapping
from typing import Any

from lattice_flows.config.errors import ConfigError

__all__ = ["RENAMED", "translated", "with_updates"]

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


def translated(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration, or a part of one, with present keys in place of earlier ones.

    Args:
      tree: nested mappings; it is not changed.

    Raises:
      ConfigError: a key and its earlier name are both given.
    """
    found = _copied(tree)
    absolute_error_steps = _lookup(found, "training.absolute_error_steps")
    for old, new in RENAMED.items():
        _move(found, old, new)
    if absolute_error_steps is not None:
        found["training"].setdefault("initial_loss", "absolute_error" if absolute_error_steps else None)
    if None not in (_lookup(found, _CONFIGURATIONS), _lookup(found, _UPDATES)):
        raise ConfigError(_both(_CONFIGURATIONS, _UPDATES))
    if isinstance(found.get("stages"), list | tuple):
        found["stages"] = [translated(entry) if isinstance(entry, Mapping) else entry for entry in found["stages"]]
    return found


def _move(tree: dict[str, Any], old: str, new: str) -> None:
    """Moves an entry in place if it exists; a mapping is merged into an existing one."""
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
        raise ConfigError(_both(old, new))


def _both(old: str, new: str) -> str:
    return f"the keys {old!r} and {new!r} are both given: {old!r} is the earlier name, keep {new!r}"


def with_updates(metropolis: Any, thinning: int) -> Any:
    """The settings of local Metropolis with `updates` in place of the earlier `configurations`, the number of kept ones.

    The product depends on the thinning, which another layer may set: it is taken once all layers are merged.

    Args:
      metropolis: the merged settings.
      thinning: that holds where they give none.
    """
    if not (isinstance(metropolis, Mapping) and isinstance(metropolis.get("configurations"), int)):
        return metropolis
    settings = dict(metropolis)
    kept, thinning = settings.pop("configurations"), settings.get("thinning", thinning)
    return settings | {"updates": kept * thinning if isinstance(thinning, int) else kept}


def _lookup(tree: Mapping[str, Any], *keys: str) -> Any:
    """The entry under keys, dotted or one by one, None where there is none."""
    found: Any = tree
    for key in ".".join(keys).split(".") if keys else ():
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _copied(tree: Any) -> Any:
    return {key: _copied(value) for key, value in tree.items()} if isinstance(tree, Mapping) else tree
